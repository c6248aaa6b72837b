// PURGE: a client at one of the addresses of cache.purge_from has a URL forgotten, or, with a field
// that names tags, what is tagged so. On a route without a cache it is a method like any unknown.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sluice/base/log.h"
#include "sluice/base/strings.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/purge_hub.h"
#include "sluice/proxy/cache_places.h"
#include "sluice/proxy/exchange.h"
#include "sluice/proxy/json_text.h"
#include "sluice/proxy/local_reply.h"
#include "sluice/proxy/router.h"

namespace sluice::proxy {
namespace {

// A client's word for a tag, as other caches have it, and what stands between its tags.
struct TagField {
  std::string_view name, separators;
};
constexpr TagField kTagFields[] = {
    {"surrogate-key", " \t,"}, {"xkey-purge", " \t,"}, {"cache-tag", ","}};
constexpr size_t kMostTags = 256;  // in one request: each is a purge that all hosts hear of
constexpr std::string_view kSoftFields[] = {"soft-purge", "fastly-soft-purge"};

// By the connection alone: what a client says of where it is must not count.
bool may_purge(const SocketAddress& client, const std::vector<config::Cidr>& from) noexcept {
  if (client.is_unix()) return false;
  const auto address = ip16(client);
  return std::any_of(from.begin(), from.end(),
                     [&](const config::Cidr& range) { return range.contains(address); });
}

bool asks_for_soft(const http::FieldList& fields) noexcept {
  return std::any_of(std::begin(kSoftFields), std::end(kSoftFields), [&](std::string_view name) {
    const http::Field* field = fields.find(name);
    return field != nullptr && field->value == "1";
  });
}

// nullopt: no field speaks of tags.
std::optional<std::vector<std::string_view>> tags_of(const http::FieldList& fields) {
  std::optional<std::vector<std::string_view>> tags;
  for (const http::Field& field : fields) {
    for (const TagField& known : kTagFields) {
      if (!equals_ignore_case(field.name, known.name)) continue;
      if (!tags) tags.emplace();
      for (std::string_view rest = field.value; !rest.empty();) {
        const size_t end = std::min(rest.find_first_of(known.separators), rest.size());
        const std::string_view tag = trim(rest.substr(0, end));
        if (!tag.empty()) tags->push_back(tag);
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
  }
  return tags;
}

std::string quoted(std::string_view text) {
  std::string out(json_text_size(text), '\0');
  write_json_text(out.data(), text);
  return "\"" + out + "\"";
}

std::string_view name_of(cache::PurgeKind kind) noexcept {
  return kind == cache::PurgeKind::soft ? "soft" : "hard";
}

stats::Counter counter_of(cache::PurgeKind kind) noexcept {
  return kind == cache::PurgeKind::soft ? stats::Counter::cache_purges_soft
                                        : stats::Counter::cache_purges_hard;
}

}  // namespace

// Decided by the route of a GET for the same URL: that is who would have stored something.
bool Exchange::takes_purge() noexcept {
  if (head_.method != http::Method::other || head_.method_text != "PURGE") return false;
  const config::Snapshot& snapshot = *site_.snapshot();
  if (site_.kit().cache == nullptr || snapshot.config.cache.purge_from.empty()) return false;
  if (!path_.starts_with('/')) return false;
  for (const uint32_t index : routes_of_url(snapshot, head_.authority, path_)) {
    if (!site_.route(index).cache || site_.route(index).pool == nullptr) continue;
    route_ = &site_.route(index);
    return true;
  }
  return false;
}

Exchange::Turn Exchange::step_purge() noexcept {
  SL_CHECK(route_ != nullptr && upstream_ == nullptr && !response_begun_);
  if (Error error = client_->error()) return fail(error);
  const std::vector<config::Cidr>& from = site_.snapshot()->config.cache.purge_from;
  if (!may_purge(client_info_.address, from)) return fail(Error(Errc::kPurgeRefused));
  const cache::PurgeKind kind =
      asks_for_soft(head_.fields) ? cache::PurgeKind::soft : cache::PurgeKind::hard;
  const auto tags = tags_of(head_.fields);
  // An empty list is a mistake; to purge the URL in its place would be another one.
  if (tags && tags->empty()) return fail(Error(Errc::kBadRequest, "a field of tags without any"));
  if (tags && tags->size() > kMostTags) {
    return fail(Error(Errc::kBadRequest, "more than 256 tags: purge them with several requests"));
  }
  site_.kit().counters.add(counter_of(kind));
  return tags ? purge_tags(*tags, kind) : purge_target(kind);
}

Exchange::Turn Exchange::purge_target(cache::PurgeKind kind) noexcept {
  WorkerKit& kit = site_.kit();
  const cache::KeyUrl url{client_info_.scheme, head_.authority, head_.path};
  const auto entries =
      purge_url(*site_.snapshot(), *kit.cache, url, kind,
                [&](const cache::PurgeOrder& order) { return kit.purges->purge(order, arena_); });
  const auto key = cache::make_key(url, {}, {}, kit.cache->secret, arena_);
  const std::string_view shown = key ? key->url : head_.path;
  const std::string count = entries ? std::to_string(*entries) : "null";
  const std::string many = entries ? ": " + count_text(*entries) : "";
  log_info("purge", "{}: {} url {}{}", client_info_.ip, name_of(kind), shown, many);
  const std::string text = fmt::format("purged {}: {}{}\n", name_of(kind), shown, many);
  const std::string json =
      fmt::format("{{\"ok\":true,\"what\":\"url\",\"url\":{},\"kind\":\"{}\",\"entries\":{}}}\n",
                  quoted(shown), name_of(kind), count);
  send_local(make_done(text, json, head_, arena_));
  return Turn::go_on;
}

Exchange::Turn Exchange::purge_tags(const std::vector<std::string_view>& tags,
                                    cache::PurgeKind kind) noexcept {
  std::string words, list;
  for (const std::string_view tag : tags) {
    site_.kit().purges->purge({cache::PurgeOrder::What::tag, kind, {}, cache::tag_hash(tag)},
                              arena_);
    words.append(words.empty() ? "" : ", ").append(tag);
    list.append(list.empty() ? "" : ",").append(quoted(tag));
  }
  log_info("purge", "{}: {} tag {}", client_info_.ip, name_of(kind), words);
  const std::string text =
      fmt::format("purged {}: {} {}\n", name_of(kind), tags.size() == 1 ? "tag" : "tags", words);
  const std::string json = fmt::format(
      "{{\"ok\":true,\"what\":\"tag\",\"tags\":[{}],\"kind\":\"{}\",\"entries\":null}}\n", list,
      name_of(kind));
  send_local(make_done(text, json, head_, arena_));
  return Turn::go_on;
}

}  // namespace sluice::proxy
