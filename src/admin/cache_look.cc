#include "sluice/admin/cache_look.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "sluice/admin/api.h"
#include "sluice/admin/endpoints.h"
#include "sluice/admin/purge.h"
#include "sluice/admin/status.h"
#include "sluice/base/strings.h"
#include "sluice/cache/policy_request.h"
#include "sluice/cache/policy_reuse.h"
#include "sluice/cache/vary.h"
#include "sluice/http/chars.h"
#include "sluice/http/uri.h"
#include "sluice/proxy/cache_places.h"
#include "sluice/proxy/router.h"

namespace sluice::admin {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::seconds;

constexpr std::string_view kNoStoreHelp[] = {
#define SL_NO_STORE(name, token, marks, help) help,
#include "sluice/cache/policy_no_store.def"
#undef SL_NO_STORE
};

int64_t whole_seconds(Duration duration) { return std::chrono::floor<seconds>(duration).count(); }

// The request that is asked about, and all that is known of where it leads.
struct Look {
  const config::Snapshot& snapshot;
  cache::Cache& cache;
  Arena& arena;
  http::RequestHead head{};
  cache::KeyUrl url{};
  std::string_view path{};  // normalised
  const config::Route* route = nullptr;
  std::optional<proxy::SiteCache> rule{};
  std::optional<cache::Key> key{};
  cache::Variants found{};  // under that key
  const cache::Entry* matching = nullptr;
};

// What a client would get, and why it is not a hit.
struct Verdict {
  std::string result;
  std::string why;  // a token
  std::string text;
};

void set_request(Look& look, const CacheQuestion& question) {
  look.url = proxy::key_url_of(look.arena.copy(question.url));
  auto* fields = look.arena.allocate_array<http::Field>(question.fields.size());
  size_t count = 0;
  for (const auto& [name, value] : question.fields) {
    new (&fields[count++]) http::Field{name, value, http::field_id(name)};
  }
  look.head.method = http::Method::get;
  look.head.method_text = "GET";
  look.head.authority = look.url.authority;
  look.head.target = look.head.path = look.url.target;
  look.head.fields = http::FieldList({fields, count});
}

void find_place(Look& look) {
  const auto path =
      http::normalise_path(look.url.target.substr(0, look.url.target.find('?')), look.arena);
  if (!path) return;
  look.path = *path;
  const auto index = proxy::find_route(look.snapshot, look.head, look.path);
  if (!index) return;
  look.route = &look.snapshot.routes()[*index];
  if (!look.route->cache || look.route->action != config::Route::Action::kPool) return;
  look.rule = proxy::make_site_cache(*look.route, look.snapshot.config);
  cache::KeyUrl taken = look.url;
  if (!look.route->strip_prefix.empty()) {
    taken.target =
        http::strip_prefix(look.url.target, look.path, look.route->strip_prefix, look.arena);
  }
  look.key =
      cache::make_key(taken, look.head.fields, look.rule->key, look.cache.secret, look.arena);
  if (!look.key) return;
  look.cache.store.find(*look.key, look.found);
  look.matching = cache::choose_variant(look.found.all(), look.head.fields, look.arena);
}

// The key's entries
// --------------------------------------------------------------------------------

// Why it is not fresh, or nothing.
Json why_stale(const cache::Entry& entry, WallTime now) {
  const cache::EntryFacts facts = cache::facts_of(entry);
  if (facts.is_marked_stale) return "soft purge";
  if (facts.ttl(now) <= Duration{0}) return "expired";
  return entry.has(cache::EntryFlag::no_cache) ? Json("no-cache") : Json();
}

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

Json to_json(const cache::Entry& entry, const Look& look, WallTime now) {
  const cache::EntryFacts facts = cache::facts_of(entry);
  Json vary = Json::array();
  for (const cache::VaryField& field : entry.vary()) {
    vary.push_back(
        {{"name", field.name}, {"value", field.is_present ? Json(field.value) : Json()}});
  }
  uint64_t bytes = 0;
  for (const cache::EntryPart& part : entry.parts()) bytes += part.body->size();
  Json why = why_stale(entry, now);
  return {{"tier", "memory"},
          {"is_match", &entry == look.matching},
          {"status", entry.status()},
          {"bytes", bytes},
          {"memory", entry.size()},
          {"is_whole", entry.is_whole()},
          {"state", why.is_null() ? "fresh" : "stale"},
          {"why_stale", std::move(why)},
          {"age_s", whole_seconds(facts.age(now))},
          {"ttl_s", whole_seconds(facts.ttl(now))},
          {"stale_while_revalidate_s", whole_seconds(entry.times().stale_while_revalidate)},
          {"stale_if_error_s", whole_seconds(entry.times().stale_if_error)},
          {"stored", iso_time(entry.times().response)},
          {"vary", std::move(vary)},
          {"tags", entry.tags().size()},
          {"etag", text_or_null(entry.etag())},
          {"last_modified", text_or_null(entry.last_modified())}};
}

// Of all keys that the URL may have: by other routes, other fields and cookies too.
Json entries_json(Look& look, WallTime now) {
  std::vector<std::string_view> urls;
  const auto add = [&urls](std::string_view url) {
    if (std::find(urls.begin(), urls.end(), url) == urls.end()) urls.push_back(url);
  };
  const auto places = proxy::cache_places(look.snapshot, look.url, look.cache.secret, look.arena);
  for (const proxy::CachePlace& place : places) add(place.key.url);
  if (look.key) add(look.key->url);
  Json entries = Json::array();
  for (const std::string_view url : urls) {
    const cache::Key key = cache::key_of_url(url, look.cache.secret, look.arena);
    for (const auto& entry : look.cache.store.find_url(key, kMostLooked)) {
      if (entries.size() < kMostLooked) entries.push_back(to_json(*entry, look, now));
    }
  }
  return entries;
}

// The answer
// ---------------------------------------------------------------------------------------

Verdict verdict_without_cache(const Look& look) {
  if (look.path.empty()) return {"none", "bad-target", "such a path is answered 400"};
  if (look.route == nullptr) return {"none", "no-route", "no route matches"};
  const std::string name = "route " + look.route->name;
  if (look.route->action != config::Route::Action::kPool) {
    return {"none", "no-cache", name + " answers by itself, without an endpoint"};
  }
  return {"none", "no-cache", name + " has no cache"};
}

std::string bypass_text(const Look& look, cache::ForwardReason reason) {
  const auto is_given = [&](const std::string& name) {
    return look.head.fields.find(name) != nullptr;
  };
  if (reason != cache::ForwardReason::bypass) {
    return "the request asks for an answer of the endpoint";
  }
  const auto& names = look.rule->rules.bypass_fields;
  const auto found = std::find_if(names.begin(), names.end(), is_given);
  return found == names.end() ? "a cookie of the request passes the cache by"
                              : "the field " + *found + " passes the cache by";
}

// What can be told of a key under which there is nothing.
Verdict verdict_of_nothing(const Look& look, bool has_others) {
  if (!look.found.is_empty()) {
    return {"miss", "vary", "what is stored is for requests with other fields: see vary"};
  }
  const auto mark = look.cache.markers.find(look.key->hash, monotonic_now());
  if (mark) {
    Verdict verdict{"miss", std::string(cache::to_string(mark->reason)),
                    "the last response was not stored: " +
                        std::string(kNoStoreHelp[static_cast<size_t>(mark->reason)])};
    if (mark->left > Duration{0}) {
      verdict.text += fmt::format("; for {} s requests do not wait for each other",
                                  whole_seconds(mark->left) + 1);
    }
    return verdict;
  }
  if (has_others) {
    return {"miss", "key",
            "what is stored is for requests with other fields or cookies in the key"};
  }
  return {"miss", "absent", "not asked for since the start, or else evicted, purged or replaced"};
}

Verdict judge(const Look& look, WallTime now, bool has_others) {
  if (!look.key) return verdict_without_cache(look);
  const cache::RequestPlan plan = cache::judge_request(look.head, look.rule->rules);
  if (!plan.may_look_up) {
    return {"bypass", std::string(to_string(plan.reason)), bypass_text(look, plan.reason)};
  }
  if (look.matching == nullptr) return verdict_of_nothing(look, has_others);
  const cache::EntryFacts facts = cache::facts_of(*look.matching);
  const cache::ReuseVerdict reuse = cache::judge_reuse(facts, plan.directives, now);
  const Json why = why_stale(*look.matching, now);
  const std::string stale = why.is_string() ? why.get<std::string>() : std::string();
  switch (reuse.reuse) {
    case cache::Reuse::fresh:
      return {"hit", "", fmt::format("fresh for {} s", whole_seconds(reuse.ttl))};
    case cache::Reuse::stale_while_revalidate:
      return {"stale", stale, "sent, and validated in the background"};
    case cache::Reuse::max_stale:
      return {"stale", stale, "sent: the request says max-stale"};
    case cache::Reuse::must_validate:
      break;
  }
  const bool is_wish = reuse.reason == cache::ForwardReason::request;
  return {"validate", is_wish ? "request" : stale,
          is_wish ? "the request asks for an answer of the endpoint"
                  : "the endpoint is asked whether it still holds"};
}

Json route_json(const Look& look) {
  if (look.route == nullptr) return {};
  Json route = {{"name", look.route->name},
                {"pool", text_or_null(look.route->pool)},
                {"has_cache", look.rule.has_value()}};
  if (!look.rule) return route;
  const cache::KeyRule& rule = look.rule->key;
  constexpr std::string_view kQueries[] = {"all", "only", "without"};
  route["key"] = {{"url", look.key ? Json(look.key->url) : Json()},
                  {"query", kQueries[static_cast<size_t>(rule.query)]},
                  {"parameters", rule.parameters},
                  {"sort", rule.sort},
                  {"headers", rule.fields},
                  {"cookies", rule.cookies},
                  {"pool", text_or_null(rule.space)}};
  return route;
}

// The question
// --------------------------------------------------------------------------------------

// "Name: value" into the question; false when it is none.
bool add_field(std::string_view text, CacheQuestion& question) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = text.substr(0, colon), value = trim(text.substr(colon + 1));
  const auto are = [](std::string_view bytes, http::CharClass wanted) {
    return std::all_of(bytes.begin(), bytes.end(), [&](char c) { return is_char(c, wanted); });
  };
  if (!are(name, http::kCharToken) || !are(value, http::kCharValue)) return false;
  question.fields.emplace_back(name, value);
  return true;
}

std::string take_parameter(std::string_view name, const std::string& value,
                           CacheQuestion& question) {
  if (name == "pretty") {
    question.is_pretty = true;
  } else if (name == "header") {
    if (!add_field(value, question)) {
      return fmt::format("header \"{}\": write it as \"Name: value\"", value);
    }
  } else if (name != "url") {
    return fmt::format("unknown parameter \"{}\"; percent-encode the URL, its & as %26", name);
  } else if (!question.url.empty()) {
    return "url stands there twice; percent-encode it, its & as %26";
  } else {
    ParsedUrl url = parse_person_url(value);
    question.url = std::move(url.url);
    return url.problem;
  }
  return {};
}

}  // namespace

proxy::HandlerReply look_into_cache(Port& port, const proxy::HandlerRequest& request,
                                    ChunkPool& chunks) {
  const CacheQuestion question = parse_cache_question(request.query);
  if (!question.problem.empty()) return error_reply(400, question.problem);
  Arena arena(chunks);
  Look look{port.snapshot(), port.cache(), arena};
  set_request(look, question);
  find_place(look);
  const WallTime now = wall_now();
  Json entries = entries_json(look, now);
  const Verdict verdict = judge(look, now, !entries.empty());
  const Json answer = {
      {"url", question.url},
      {"route", route_json(look)},
      {"answer",
       {{"result", verdict.result}, {"why", text_or_null(verdict.why)}, {"text", verdict.text}}},
      {"entries", std::move(entries)},
      {"redis", "not asked"}};
  return json_reply(
      200, answer.dump(question.is_pretty ? 2 : -1, ' ', false, Json::error_handler_t::replace));
}

CacheQuestion parse_cache_question(std::string_view query) {
  CacheQuestion question;
  while (!query.empty() && question.problem.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = std::min(part.find('='), part.size());
    const auto value = percent_decode(part.substr(std::min(equals + 1, part.size())));
    question.problem = value ? take_parameter(part.substr(0, equals), *value, question)
                             : "a malformed percent-encoding";
  }
  if (question.problem.empty() && question.url.empty()) {
    question.problem = "which URL? /api/v1/cache?url=URL, percent-encoded";
  }
  return question;
}

std::string cache_question(std::string_view url, const std::vector<std::string>& fields) {
  std::string target = std::string(kCachePath) + "?pretty&url=" + percent_encode(url);
  for (const std::string& field : fields) target += "&header=" + percent_encode(field);
  return target;
}

}  // namespace sluice::admin
