#include "sluice/admin/cache_look.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cache_look_json.h"
#include "sluice/admin/api.h"
#include "sluice/admin/endpoints.h"
#include "sluice/admin/purge.h"
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

using Json = OrderedJson;

constexpr std::string_view kNoStoreHelp[] = {
#define SL_NO_STORE(name, token, marks, help) help,
#include "sluice/cache/policy_no_store.def"
#undef SL_NO_STORE
};

// The request that is asked about, and all that is known of where it leads. The snapshot, and what
// points into it, is there only until the question has been read.
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
  cache::RequestPlan plan{};
  std::vector<cache::Key> keys{};  // of the URL, as far as they are known
  cache::Variants found{};         // under `key`
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
  look.plan = cache::judge_request(look.head, look.rule->rules);
  look.cache.store.find(*look.key, look.found);
  look.matching = cache::choose_variant(look.found.all(), look.head.fields, look.arena);
}

// Of all routes that the URL may take; other fields and cookies may make others still.
void find_keys(Look& look) {
  const auto add = [&keys = look.keys](const cache::Key& key) {
    const bool is_known = std::ranges::any_of(
        keys, [&key](const cache::Key& other) { return other.text == key.text; });
    if (!is_known) keys.push_back(key);
  };
  if (look.key) add(*look.key);
  const auto places = proxy::cache_places(look.snapshot, look.url, look.cache.secret, look.arena);
  for (const proxy::CachePlace& place : places) add(place.key);
}

// In memory also those under keys of other fields and cookies.
Json entries_json(Look& look, WallTime now) {
  std::vector<std::string_view> urls;
  for (const cache::Key& key : look.keys) {
    if (std::ranges::find(urls, key.url) == urls.end()) urls.push_back(key.url);
  }
  Json entries = Json::array();
  for (const std::string_view url : urls) {
    const cache::Key key = cache::key_of_url(url, look.cache.secret, look.arena);
    for (const auto& entry : look.cache.store.find_url(key, kMostLooked)) {
      if (entries.size() == kMostLooked) return entries;
      entries.push_back(memory_json(*entry, entry.get() == look.matching, now));
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

// What becomes of a stored response that matches.
Verdict verdict_of(const Look& look, const cache::EntryFacts& facts, WallTime now) {
  const cache::ReuseVerdict reuse = cache::judge_reuse(facts, look.plan.directives, now);
  const Json why = why_stale(facts, now);
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

Verdict judge(const Look& look, WallTime now, bool has_others) {
  if (!look.key) return verdict_without_cache(look);
  if (!look.plan.may_look_up) {
    const cache::ForwardReason reason = look.plan.reason;
    return {"bypass", std::string(to_string(reason)), bypass_text(look, reason)};
  }
  if (look.matching == nullptr) return verdict_of_nothing(look, has_others);
  return verdict_of(look, cache::facts_of(*look.matching), now);
}

// What memory cannot answer, the shared tier is asked for.
Verdict judge_with_redis(const Look& look, const Verdict& verdict,
                         const cache::SharedFinding& finding, WallTime now) {
  const cache::SharedVariant* match = finding.match();
  const bool is_looked_up = verdict.result == "miss" || verdict.result == "validate";
  if (!is_looked_up || match == nullptr || !look.cache.store.may_store(match->bytes)) {
    return verdict;
  }
  Verdict shared = verdict_of(look, match->facts, now);
  if (verdict.result == "validate" && shared.result == "validate") return verdict;
  shared.text = "in Redis: " + shared.text;
  return shared;
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

// A look
// ---------------------------------------------------------------------------------------------

class CacheLooks::Looking final : public loop::Buried {
 public:
  Looking(CacheLooks& looks, std::shared_ptr<proxy::HandlerCall> call, CacheQuestion question)
      : looks_(looks),
        call_(std::move(call)),
        question_(std::move(question)),
        arena_(call_->loop().chunks()),
        look_{looks.port_.snapshot(), looks.port_.cache(), arena_} {}

  // Memory at once. True: who serves the shared tier has been asked too.
  bool begin() {
    set_request(look_, question_);
    find_place(look_);
    find_keys(look_);
    const WallTime now = wall_now();
    route_ = route_json(look_);
    entries_ = entries_json(look_, now);
    verdict_ = judge(look_, now, !entries_.empty());
    for (const cache::Key& key : look_.keys) ask(key);
    return !asked_.empty();
  }

  loop::Loop& loop() const noexcept { return call_->loop(); }

  void reply() {
    const WallTime now = wall_now();
    Json redis = asked_.empty() ? Json() : Json::array();
    for (const auto& asked : asked_) {
      const cache::SharedFinding& finding = asked->finding();
      const bool is_asked_for = look_.key && look_.key->text == asked->key.text;
      redis.push_back(finding_json(finding, asked->key.url));
      for (const cache::SharedVariant& variant : finding.variants) {
        entries_.push_back(redis_json(finding, variant, is_asked_for, now));
      }
      if (is_asked_for) verdict_ = judge_with_redis(look_, verdict_, finding, now);
    }
    const Json answer = {{"url", question_.url},
                         {"route", std::move(route_)},
                         {"answer",
                          {{"result", verdict_.result},
                           {"why", text_or_null(verdict_.why)},
                           {"text", verdict_.text}}},
                         {"entries", std::move(entries_)},
                         {"redis", std::move(redis)}};
    call_->reply(json_reply(200, answer.dump(question_.is_pretty ? 2 : -1, ' ', false,
                                             Json::error_handler_t::replace)));
  }

 private:
  struct Asked final : cache::SharedInspect {
    Asked(Looking& its_look, const cache::Key& its_key)
        : SharedInspect(its_look.call_->loop(), its_look.look_.cache),
          looking(its_look),
          key(its_key) {}
    void on_inspect_end() noexcept override { looking.on_asked_end(); }

    Looking& looking;
    const cache::Key key;
  };

  void ask(const cache::Key& key) {
    auto access = looks_.port_.shared_access(key.hash);
    if (!access) return;
    Asked& asked = *asked_.emplace_back(std::make_unique<Asked>(*this, key));
    asked.inspect(*std::move(access), asked.key, look_.head.fields);
    ++pending_;
  }

  void on_asked_end() noexcept {
    if (--pending_ > 0) return;
    reply();
    looks_.end(*this);
  }

  CacheLooks& looks_;
  const std::shared_ptr<proxy::HandlerCall> call_;
  const CacheQuestion question_;
  Arena arena_;
  Look look_;
  Json route_, entries_;
  Verdict verdict_;
  std::vector<std::unique_ptr<Asked>> asked_;
  size_t pending_ = 0;
};

CacheLooks::CacheLooks(Port& port) noexcept : port_(port) {}

CacheLooks::~CacheLooks() = default;

void CacheLooks::look(const std::shared_ptr<proxy::HandlerCall>& call) {
  CacheQuestion question = parse_cache_question(call->request().query);
  if (!question.problem.empty()) return call->reply(error_reply(400, question.problem));
  auto looking = std::make_unique<Looking>(*this, call, std::move(question));
  if (!looking->begin()) return looking->reply();
  looking_.push_back(std::move(looking));
}

void CacheLooks::end(Looking& looking) noexcept {
  const auto found = std::ranges::find_if(
      looking_, [&looking](const auto& each) { return each.get() == &looking; });
  loop::Loop& loop = looking.loop();
  loop.bury(found->release());
  looking_.erase(found);
}

// The question
// --------------------------------------------------------------------------------------

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
