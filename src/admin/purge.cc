#include "sluice/admin/purge.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sluice/admin/api.h"
#include "sluice/base/log.h"
#include "sluice/base/strings.h"
#include "sluice/cache/key.h"
#include "sluice/cache/policy_invalidate.h"
#include "sluice/http/chars.h"
#include "sluice/proxy/cache_places.h"

namespace sluice::admin {
namespace {

using Json = nlohmann::ordered_json;
using What = PurgeAsk::What;

constexpr std::string_view kForm =
    R"(the body must be one of {"url": U}, {"prefix": P}, {"tag": T}, {"group": G, "url": U}, )"
    R"({"all": true}, or lists of "urls", "prefixes", "tags"; each may have "soft": true)";
constexpr size_t kMostAsks = 1000;

struct Key {
  std::string_view name;
  What what;
  bool is_list;
};
constexpr Key kKeys[] = {{"url", What::url, false},        {"prefix", What::prefix, false},
                         {"tag", What::tag, false},        {"group", What::group, false},
                         {"all", What::all, false},        {"urls", What::url, true},
                         {"prefixes", What::prefix, true}, {"tags", What::tag, true}};

const Key* find_key(std::string_view name) noexcept {
  const auto* found = std::find_if(std::begin(kKeys), std::end(kKeys),
                                   [&](const Key& k) { return k.name == name; });
  return found == std::end(kKeys) ? nullptr : found;
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// "" or why no field could hold it.
std::string problem_of_tag(std::string_view tag) {
  if (trim(tag).empty()) return "a tag is empty";
  if (tag.find(',') != std::string_view::npos) {
    return "a comma separates tags and is part of none: give them one by one, or as \"tags\"";
  }
  if (trim(tag).size() != tag.size()) return "a tag begins or ends with a space, which none can";
  if (std::any_of(tag.begin(), tag.end(), is_control)) {
    return "a tag has a control character, which no field can hold";
  }
  return {};
}

// A string of RFC 8941 section 3.3.3.
std::string problem_of_group(std::string_view group) {
  const bool is_printable = std::all_of(group.begin(), group.end(),
                                        [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
  return is_printable ? "" : "a group is printable ASCII";
}

// One value into `parsed`; returns "" or what is wrong with it.
std::string take(const Json& value, What what, ParsedPurge& parsed) {
  if (!value.is_string()) return fmt::format("{} must be a string", to_string(what));
  PurgeAsk ask{what, value.get<std::string>(), {}};
  if (what == What::tag || what == What::group) {
    std::string problem = what == What::tag ? problem_of_tag(ask.name) : problem_of_group(ask.name);
    if (!problem.empty()) return problem;
  } else {
    ParsedUrl url = parse_person_url(ask.name);
    if (!url.problem.empty()) return url.problem;
    ask.name = std::move(url.url);
  }
  parsed.asks.push_back(std::move(ask));
  return parsed.asks.size() > kMostAsks ? fmt::format("more than {} at once", kMostAsks) : "";
}

std::string take_list(const Json& list, const Key& key, ParsedPurge& parsed) {
  if (!list.is_array() || list.empty()) {
    return fmt::format("{} must be a list with something in it", key.name);
  }
  for (const Json& each : list) {
    if (std::string problem = take(each, key.what, parsed); !problem.empty()) return problem;
  }
  return {};
}

std::string take_group(const Json& body, ParsedPurge& parsed) {
  const Json url = body.value("url", Json());
  if (!url.is_string()) {
    return "a group is its origin's alone: give any \"url\" of that origin with it";
  }
  ParsedUrl origin = parse_person_url(url.get<std::string>());
  if (!origin.problem.empty()) return origin.problem;
  std::string problem = take(body["group"], What::group, parsed);
  if (problem.empty()) parsed.asks.back().url = std::move(origin.url);
  return problem;
}

// Which keys are there, and whether they go together.
std::string problem_of_keys(const Json& body) {
  std::vector<const Key*> given;
  for (const auto& [name, value] : body.items()) {
    if (name == "soft") continue;
    const Key* key = find_key(name);
    if (key == nullptr) return fmt::format("unknown key \"{}\"; {}", name, kForm);
    given.push_back(key);
  }
  if (given.empty()) return fmt::format("nothing says what to purge; {}", kForm);
  const bool is_group = given.size() == 2 && body.contains("group") && body.contains("url");
  const bool are_lists =
      std::all_of(given.begin(), given.end(), [](auto* k) { return k->is_list; });
  if (given.size() == 1 || is_group || are_lists) return {};
  return fmt::format("\"{}\" and \"{}\" at once; {}", given[0]->name, given[1]->name, kForm);
}

std::string take_all(const Json& body, ParsedPurge& parsed) {
  if (std::string problem = problem_of_keys(body); !problem.empty()) return problem;
  const Json soft = body.value("soft", Json(false));
  if (!soft.is_boolean()) return "soft must be true or false";
  if (soft.get<bool>()) parsed.kind = cache::PurgeKind::soft;
  if (body.contains("group")) return take_group(body, parsed);
  for (const auto& [name, value] : body.items()) {
    const Key* key = find_key(name);
    if (key == nullptr) continue;
    std::string problem;
    if (key->what == What::all) {
      if (value != Json(true)) return "all must be true";
      parsed.asks.push_back({});
    } else if (key->is_list) {
      parsed.is_list = true;
      problem = take_list(value, *key, parsed);
    } else {
      problem = take(value, key->what, parsed);
    }
    if (!problem.empty()) return problem;
  }
  return {};
}

std::string_view name_of(cache::PurgeKind kind) noexcept {
  return kind == cache::PurgeKind::soft ? "soft" : "hard";
}

// How many entries it named, where that can be known.
std::optional<size_t> apply(Port& port, const PurgeAsk& ask, cache::PurgeKind kind, Arena& arena) {
  const auto purge = [&port](const cache::PurgeOrder& order) { return port.purge(order); };
  switch (ask.what) {
    case What::url:
      return proxy::purge_url(port.snapshot(), port.cache(), proxy::key_url_of(ask.name), kind,
                              purge);
    case What::prefix:
      return proxy::purge_prefix(port.snapshot(), ask.name, kind, purge);
    case What::tag:
      port.purge({cache::PurgeOrder::What::tag, kind, {}, cache::tag_hash(ask.name)});
      return std::nullopt;
    case What::group:
      port.purge({cache::PurgeOrder::What::tag,
                  kind,
                  {},
                  cache::group_tag(proxy::key_url_of(ask.url), ask.name, arena)});
      return std::nullopt;
    case What::all:
      return port.purge({cache::PurgeOrder::What::all, kind, {}, 0});
  }
  return std::nullopt;
}

Json done(Port& port, const PurgeAsk& ask, cache::PurgeKind kind, Arena& arena) {
  const auto entries = apply(port, ask, kind, arena);
  Json answer = {{"what", to_string(ask.what)}};
  if (ask.what != What::all) answer[std::string(to_string(ask.what))] = ask.name;
  if (ask.what == What::group) answer["url"] = ask.url;
  answer["kind"] = name_of(kind);
  answer["entries"] = entries ? Json(*entries) : Json();
  return answer;
}

}  // namespace

std::string_view to_string(PurgeAsk::What what) noexcept {
  switch (what) {
    case What::url:
      return "url";
    case What::prefix:
      return "prefix";
    case What::tag:
      return "tag";
    case What::group:
      return "group";
    case What::all:
      return "all";
  }
  return "?";
}

ParsedPurge parse_purge_body(std::string_view body) {
  ParsedPurge parsed;
  // The parser takes the last of two equal keys; who wrote both meant both.
  std::vector<std::string> seen;
  bool is_doubled = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event != Json::parse_event_t::key || depth != 1) return true;
    is_doubled = is_doubled ||
                 std::find(seen.begin(), seen.end(), value.get_ref<std::string&>()) != seen.end();
    seen.push_back(value.get<std::string>());
    return true;
  };
  const Json json = Json::parse(body, watch, false);
  if (!json.is_object()) {
    parsed.problem = kForm;
  } else if (is_doubled) {
    parsed.problem = fmt::format("a key stands there twice; {}", kForm);
  } else {
    parsed.problem = take_all(json, parsed);
  }
  if (!parsed.problem.empty()) parsed.asks.clear();
  return parsed;
}

ParsedUrl parse_person_url(std::string_view text) {
  ChunkPool chunks;
  Arena arena(chunks);
  // A fragment never reaches a proxy (RFC 9110 section 4.2.5).
  const std::string_view asked = text.substr(0, text.find('#'));
  std::optional<std::string_view> canonical;
  // No request has other bytes in its target (RFC 9112 section 3.2).
  if (http::is_all(asked, http::kCharTarget)) canonical = cache::canonical_url(asked, {}, arena);
  if (canonical) return {std::string(*canonical), {}};
  return {{},
          fmt::format("{} is no absolute URL: write it as clients ask for it, percent-encoded and "
                      "with the port unless it is 80 or 443, such as http://127.0.0.1:8080/x",
                      text.empty() ? std::string_view("an empty text") : text)};
}

proxy::HandlerReply purge(Port& port, const proxy::HandlerRequest& request, ChunkPool& chunks) {
  const ParsedPurge parsed = parse_purge_body(request.body);
  if (!parsed.problem.empty()) return error_reply(400, parsed.problem);
  Arena arena(chunks);
  Json list = Json::array();
  size_t sum = 0;
  bool is_known = true;
  for (const PurgeAsk& ask : parsed.asks) {
    Json each = done(port, ask, parsed.kind, arena);
    const bool is_counted = each["entries"].is_number();
    log_info("purge", "{}: {} {} {}{}", request.client_ip, name_of(parsed.kind),
             to_string(ask.what), ask.name,
             is_counted ? ": " + proxy::count_text(each["entries"].get<size_t>()) : "");
    is_known = is_known && is_counted;
    sum += is_counted ? each["entries"].get<size_t>() : 0;
    list.push_back(std::move(each));
  }
  port.count_purge(parsed.kind);
  Json answer = {{"ok", true}};
  if (parsed.is_list) {
    answer["kind"] = name_of(parsed.kind);
    answer["entries"] = is_known ? Json(sum) : Json();
    answer["purged"] = std::move(list);
  } else {
    answer.update(list.front());
  }
  return json_reply(200, answer.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace sluice::admin
