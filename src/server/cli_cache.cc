#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "sluice/admin/cache_look.h"
#include "sluice/admin/client.h"
#include "sluice/admin/purge.h"
#include "sluice/server/cli.h"

namespace sluice::server {

namespace {

using Json = nlohmann::json;

constexpr int kBadRequest = 400;

constexpr const char* kPurgeHelp =
    "A URL is written as clients ask for it, with the port unless it is 80 or 443; all its "
    "variants "
    "go.\nA tag is one word of Surrogate-Key or Cache-Tag. Exit code 1 when no sluice answers.\n\n"
    "Examples:\n"
    "  sluice purge --url http://127.0.0.1:8080/products/7\n"
    "  sluice purge --prefix https://shop.example/img/ --soft\n"
    "  sluice purge --tag product-7\n"
    "  sluice purge --all";

constexpr const char* kGetHelp =
    "Shows every stored variant of the URL, and what a GET would get now. Exit code 0 also when "
    "nothing is\nstored, 1 when no sluice answers.\n\n"
    "Examples:\n"
    "  sluice cache get http://127.0.0.1:8080/products/7\n"
    "  sluice cache get http://127.0.0.1:8080/ --header \"Accept-Encoding: gzip\"";

struct CacheOptions {
  std::string admin;
  bool json = false;
  std::string url, prefix, tag;  // of purge
  bool all = false, soft = false;
  std::string asked;  // of get
  std::vector<std::string> fields;
};
using OptionsPtr = std::shared_ptr<CacheOptions>;

void add_common(CLI::App* verb, const OptionsPtr& options) {
  verb->add_option("--admin", options->admin,
                   "where its admin API is: unix:/PATH or "
                   "http://HOST:PORT (default: the usual sockets)")
      ->type_name("ADDRESS");
  verb->add_flag("--json", options->json, "print the answer as JSON");
}

std::string text_of(const Json& json, const char* key) {
  const auto it = json.is_object() ? json.find(key) : json.end();
  if (it == json.end() || it->is_null()) return "-";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

const Json& part_of(const Json& json, const char* key) {
  static const Json none;
  const auto it = json.is_object() ? json.find(key) : json.end();
  return it == json.end() ? none : *it;
}

// An answer that is none: prints why, and returns the exit code.
int complain_of(const admin::ClientReply& reply) {
  if (reply.status == 0) return complain(reply.problem, kNotWell);
  const Json answer = Json::parse(reply.body, nullptr, false);
  const std::string error = text_of(answer, "error");
  return complain(error == "-" ? fmt::format("the admin API answered {}", reply.status) : error,
                  reply.status == kBadRequest ? kUsage : kNotWell);
}

// purge
// --------------------------------------------------------------------------------------------

int purge(const CacheOptions& options, const Json& what) {
  Json body = what;
  if (options.soft) body["soft"] = true;
  const auto reply = admin::ask_first(
      options.admin, {.method = "POST",
                      .path = std::string(admin::kPurgePath),
                      .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)});
  if (reply.status != 200) return complain_of(reply);
  fmt::print("{}", options.json ? reply.body : purge_line(reply.body));
  return kDone;
}

// Exactly one of the four, and not an empty one.
int purge_checked(const CLI::App& verb, const CacheOptions& options) {
  std::vector<std::pair<const char*, Json>> given;
  const auto take = [&](const char* name, const char* key, const Json& value) {
    if (verb.count(name) > 0) given.emplace_back(name, Json{{key, value}});
  };
  take("--url", "url", options.url);
  take("--prefix", "prefix", options.prefix);
  take("--tag", "tag", options.tag);
  take("--all", "all", true);
  if (given.size() == 1) return purge(options, given.front().second);
  const std::string what = given.empty()
                               ? "nothing says what to purge"
                               : fmt::format("{} and {} at once", given[0].first, given[1].first);
  return complain(what + ": give one of --url, --prefix, --tag and --all; see sluice purge --help",
                  kUsage);
}

void add_purge(CLI::App& app, Action& action) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* verb = app.add_subcommand("purge", "Have the cache forget a URL, a tag or everything");
  verb->add_option("--url", options->url, "this URL with all its variants")->type_name("URL");
  verb->add_option("--prefix", options->prefix, "all URLs that begin so")->type_name("URL");
  verb->add_option("--tag", options->tag, "what an endpoint has tagged so")->type_name("TAG");
  verb->add_flag("--all", options->all, "everything");
  verb->add_flag("--soft", options->soft, "mark it stale in place of removing it");
  add_common(verb, options);
  verb->footer(kPurgeHelp);
  verb->callback([&action, options, verb] {
    action = [options, verb] { return purge_checked(*verb, *options); };
  });
}

// cache get
// ----------------------------------------------------------------------------------------

int get(const CacheOptions& options) {
  const auto reply = admin::ask_first(
      options.admin, {.path = admin::cache_question(options.asked, options.fields), .body = {}});
  if (reply.status != 200) return complain_of(reply);
  fmt::print("{}", options.json ? reply.body : cache_table(reply.body));
  return kDone;
}

void add_get(CLI::App& cache, Action& action) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* verb = cache.add_subcommand("get", "Show what is stored of a URL, or why nothing is");
  verb->add_option("url", options->asked, "as clients ask for it")->required()->type_name("URL");
  verb->add_option("--header", options->fields, "a field of the request; may be repeated")
      ->type_name("\"NAME: VALUE\"")
      ->allow_extra_args(false);
  add_common(verb, options);
  verb->footer(kGetHelp);
  verb->callback([&action, options] { action = [options] { return get(*options); }; });
}

std::string duration_text(const Json& seconds) {
  return seconds.is_number() ? seconds.dump() + " s" : "-";
}

std::string vary_text(const Json& vary) {
  std::string text;
  for (const Json& field : vary) {
    const Json& value = part_of(field, "value");
    text += (text.empty() ? "" : ", ") + text_of(field, "name") +
            (value.is_null() ? " absent" : ": " + value.get<std::string>());
  }
  return text.empty() ? "-" : text;
}

std::string state_text(const Json& entry) {
  const Json& stale = part_of(entry, "why_stale");
  const Json& why = stale.is_string() ? stale : part_of(entry, "why_unused");
  return text_of(entry, "state") + (why.is_string() ? ": " + why.get<std::string>() : "");
}

// One for each key of the URL.
std::string redis_lines(const Json& redis) {
  if (!redis.is_array()) return "redis   off\n";
  std::string lines;
  for (const Json& one : redis) {
    const std::string answer = text_of(one, "answer");
    lines += "redis   " + text_of(one, "server") + ": ";
    if (answer != "found") lines += answer + ": ";
    lines += text_of(one, "text");
    const Json& expires = part_of(one, "expires_s");
    if (expires.is_number()) lines += ", kept for " + duration_text(expires);
    lines += "\n";
  }
  return lines;
}

std::string key_text(const Json& key) {
  std::string text = "the URL";
  const auto add_list = [&](const char* list, const char* words) {
    const Json& names = part_of(key, list);
    if (!names.is_array() || names.empty()) return;
    text += words;
    for (const Json& name : names) text += " " + name.get<std::string>();
  };
  if (text_of(key, "query") == "only") add_list("parameters", ", of its query only");
  if (text_of(key, "query") == "without") add_list("parameters", ", of its query not");
  if (part_of(key, "sort") == true) text += ", its query sorted";
  add_list("headers", ", the headers");
  add_list("cookies", ", the cookies");
  if (part_of(key, "pool").is_string()) text += ", the pool " + text_of(key, "pool");
  return text;
}

std::string route_text(const Json& route) {
  if (!route.is_object()) return "none";
  std::string text = text_of(route, "name");
  if (part_of(route, "pool").is_string()) text += ", pool " + text_of(route, "pool");
  return text + (part_of(route, "has_cache") == true ? "" : ", no cache");
}

}  // namespace

void add_cache(CLI::App& app, Action& action) {
  add_purge(app, action);
  CLI::App* cache = app.add_subcommand("cache", "Look into the cache");
  cache->require_subcommand(1);
  add_get(*cache, action);
}

std::string purge_line(const std::string& answer_json) {
  const Json answer = Json::parse(answer_json, nullptr, false);
  const std::string what = text_of(answer, "what");
  std::string name = what == "all" ? "everything" : text_of(answer, what.c_str());
  if (what == "tag") name = "tag " + name;
  if (what == "prefix") name += "*";
  const Json& entries = part_of(answer, "entries");
  const std::string many = entries.is_number() ? fmt::format(": {} {} in memory", entries.dump(),
                                                             entries == 1 ? "entry" : "entries")
                                               : "";
  return fmt::format("purged {}: {}{}\n", text_of(answer, "kind"), name, many);
}

std::string cache_table(const std::string& answer_json) {
  const Json answer = Json::parse(answer_json, nullptr, false);
  const Json& route = part_of(answer, "route");
  const Json& verdict = part_of(answer, "answer");
  const Json& entries = part_of(answer, "entries");
  std::string out = text_of(answer, "url") + "\n";
  out += "route   " + route_text(route) + "\n";
  if (part_of(route, "key").is_object()) out += "key     " + key_text(route["key"]) + "\n";
  out += "answer  " + text_of(verdict, "result");
  if (part_of(verdict, "why").is_string()) out += " (" + text_of(verdict, "why") + ")";
  out += ": " + text_of(verdict, "text") + "\n";
  const auto in_memory = std::ranges::count_if(
      entries, [](const Json& entry) { return text_of(entry, "tier") == "memory"; });
  out += fmt::format("memory  {} stored\n", in_memory);
  out += redis_lines(part_of(answer, "redis"));
  if (entries.empty()) return out;
  std::vector<std::vector<std::string>> lines{
      {"", "TIER", "STATUS", "BYTES", "AGE", "TTL", "STATE", "TAGS", "STORED", "VARY"}};
  for (const Json& entry : entries) {
    lines.push_back({part_of(entry, "is_match") == true ? ">" : "", text_of(entry, "tier"),
                     text_of(entry, "status"), text_of(entry, "bytes"),
                     duration_text(part_of(entry, "age_s")), duration_text(part_of(entry, "ttl_s")),
                     state_text(entry), text_of(entry, "tags"), text_of(entry, "stored"),
                     vary_text(part_of(entry, "vary"))});
  }
  return out + "\n" + align(lines);
}

}  // namespace sluice::server
