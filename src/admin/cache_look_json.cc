#include "cache_look_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "sluice/admin/status.h"

namespace sluice::admin {
namespace {

using Json = OrderedJson;
using cache::SharedFinding;
using State = cache::SharedVariant::State;

void add_times(const cache::EntryFacts& facts, WallTime now, Json& to) {
  const cache::EntryTimes& times = facts.times;
  to["age_s"] = whole_seconds(facts.age(now));
  to["ttl_s"] = whole_seconds(facts.ttl(now));
  to["stale_while_revalidate_s"] = whole_seconds(times.stale_while_revalidate);
  to["stale_if_error_s"] = whole_seconds(times.stale_if_error);
  to["stored"] = iso_time(times.response);
}

void add_state(const cache::EntryFacts& facts, WallTime now, Json& to) {
  Json why = why_stale(facts, now);
  to["state"] = why.is_null() ? "fresh" : "stale";
  to["why_stale"] = std::move(why);
}

std::string_view help_of(State state) noexcept {
  switch (state) {
    case State::good:
    case State::soft_purged:
      return {};
    case State::purged:
      return "purged since it was asked for, or older than the purges on record";
    case State::other_epoch:
      return "stored before the server lost its record of purges";
    case State::behind:
      return "this host has not heard of all purges of the server yet, and uses nothing of it";
    case State::over:
      return "too old even to be validated";
    case State::ahead:
      return "of a clock that is more than a day ahead of ours";
    case State::no_body:
      return "its body is gone, evicted perhaps";
    case State::broken:
      return "not what was written; the next request for it deletes it";
    case State::other_version:
      return "written by a sluice of another format";
    case State::other_key:
      return "of another key with the same hash";
  }
  return {};
}

std::string text_of(const SharedFinding& finding) {
  switch (finding.answer) {
    case SharedFinding::Answer::found:
      return fmt::format("{} stored, {} of use", finding.variants.size(),
                         std::ranges::count_if(finding.variants, [](const auto& variant) {
                           return variant.is_of_use();
                         }));
    case SharedFinding::Answer::absent:
      return "nothing under this key: never stored, expired, evicted, or removed by a purge";
    case SharedFinding::Answer::late:
      return fmt::format("no answer within {} s", whole_seconds(cache::kInspectTime));
    case SharedFinding::Answer::away:
    case SharedFinding::Answer::refused:
      return finding.problem;
  }
  return {};
}

}  // namespace

int64_t whole_seconds(Duration duration) {
  return std::chrono::floor<std::chrono::seconds>(duration).count();
}

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

Json why_stale(const cache::EntryFacts& facts, WallTime now) {
  if (facts.is_marked_stale) return "soft purge";
  if (facts.ttl(now) <= Duration{0}) return "expired";
  return facts.has(cache::EntryFlag::no_cache) ? Json("no-cache") : Json();
}

Json memory_json(const cache::Entry& entry, bool is_match, WallTime now) {
  const cache::EntryFacts facts = cache::facts_of(entry);
  Json vary = Json::array();
  for (const cache::VaryField& field : entry.vary()) {
    vary.push_back(
        {{"name", field.name}, {"value", field.is_present ? Json(field.value) : Json()}});
  }
  uint64_t bytes = 0;
  for (const cache::EntryPart& part : entry.parts()) bytes += part.body->size();
  Json json = {{"tier", "memory"}, {"is_match", is_match},   {"status", entry.status()},
               {"bytes", bytes},   {"memory", entry.size()}, {"is_whole", entry.is_whole()}};
  add_state(facts, now, json);
  add_times(facts, now, json);
  json["vary"] = std::move(vary);
  json["tags"] = entry.tags().size();
  json["etag"] = text_or_null(entry.etag());
  json["last_modified"] = text_or_null(entry.last_modified());
  return json;
}

Json redis_json(const SharedFinding& finding, const cache::SharedVariant& variant,
                bool is_asked_for, WallTime now) {
  const bool is_match = is_asked_for && variant.is_match && variant.is_of_use();
  Json json = {{"tier", "redis"},
               {"server", finding.server},
               {"key", finding.name},
               {"is_match", is_match},
               {"record", variant.record}};
  if (variant.is_of_use()) {
    add_state(variant.facts, now, json);
  } else {
    json["state"] = "unused";
    json["why_unused"] = to_string(variant.state);
    json["text"] = help_of(variant.state);
  }
  if (!variant.is_readable()) return json;
  Json vary = Json::array();
  for (const auto& [name, value] : variant.vary) {
    vary.push_back({{"name", name}, {"value", value ? Json(*value) : Json()}});
  }
  json["status"] = variant.status;
  json["bytes"] = variant.bytes;
  add_times(variant.facts, now, json);
  json["vary"] = std::move(vary);
  json["tags"] = variant.tags;
  json["etag"] = text_or_null(variant.etag);
  json["last_modified"] = text_or_null(variant.last_modified);
  return json;
}

Json finding_json(const SharedFinding& finding, std::string_view url) {
  return {{"server", finding.server},
          {"url", url},
          {"key", finding.name},
          {"answer", to_string(finding.answer)},
          {"text", text_of(finding)},
          {"expires_s", finding.expiry ? Json(whole_seconds(*finding.expiry)) : Json()}};
}

}  // namespace sluice::admin
