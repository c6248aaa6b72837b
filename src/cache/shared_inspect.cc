#include "sluice/cache/shared_inspect.h"

#include <algorithm>

#include "shared_link.h"
#include "shared_read.h"
#include "sluice/cache/vary.h"

namespace sluice::cache {
namespace {

using redis::Fault;
using State = SharedVariant::State;

// As many as a look-up considers.
constexpr size_t kMostShown = 2 * kMostVariants;

State state_of(DecodedEntry& entry, const SharedServer& server, const SharedStamp& state,
               Standing standing, WallTime now) {
  const SharedStamp& stamp = entry.note.stamp;
  const SharedStamp heard = server.log.now();
  const bool is_behind =
      !heard.is_known() || heard.epoch != state.epoch || heard.number < state.number;
  if (is_behind) return State::behind;
  if (stamp.epoch != state.epoch) return State::other_epoch;
  if (standing == Standing::gone) return State::purged;
  if (!bring_back(entry.spec.times, now)) return State::ahead;
  if (life_left(entry.spec.times, entry.note.keep, now) <= Duration{0}) return State::over;
  return standing == Standing::stale ? State::soft_purged : State::good;
}

State state_of(Decoded verdict) noexcept {
  switch (verdict) {
    case Decoded::good:
      return State::good;
    case Decoded::broken:
      return State::broken;
    case Decoded::other_version:
      return State::other_version;
    case Decoded::other_key:
      return State::other_key;
  }
  return State::broken;
}

std::string text_of(const EntrySpec& spec, http::FieldId id) {
  const auto field = std::find_if(spec.fields.begin(), spec.fields.end(),
                                  [id](const http::Field& each) { return each.id == id; });
  return field == spec.fields.end() ? std::string() : std::string(field->value);
}

void describe(const EntrySpec& spec, SharedVariant& variant) {
  variant.status = spec.status;
  variant.bytes = spec.complete_length.value_or(0);
  variant.facts.times = spec.times;
  variant.facts.flags = spec.flags;
  variant.facts.is_marked_stale = variant.state == State::soft_purged;
  variant.tags = spec.tags.size();
  variant.etag = text_of(spec, http::FieldId::kEtag);
  variant.last_modified = text_of(spec, http::FieldId::kLastModified);
  for (const VaryField& field : spec.vary) {
    variant.vary.emplace_back(std::string(field.name), field.is_present
                                                           ? std::optional<std::string>(field.value)
                                                           : std::nullopt);
  }
}

}  // namespace

// Asking
// -------------------------------------------------------------------------------------------

SharedInspect::SharedInspect(loop::Loop& loop, const Cache& cache)
    : loop_(loop), cache_(cache), timer_(loop::Timer::make<&SharedInspect::on_timer>(loop, this)) {}

// The state first, as a look-up does: what is purged between the two counts as not heard of.
void SharedInspect::inspect(SharedAccess access, const Key& key, const http::FieldList& request) {
  SL_CHECK(step_ == Step::idle && access.client != nullptr);
  access_ = std::move(access);
  key_ = &key;
  request_ = &request;
  finding_.server = server().address.to_string();
  finding_.name = access_.tier->entry_key(key.hash);
  // A client that goes, since the tier changes, tells nobody.
  timer_.set_after(kInspectTime);
  const std::string state_key = access_.tier->state_key();
  const redis::Arg args[] = {"HMGET", state_key, "epoch", "purges"};
  command(Step::state, args);
}

void SharedInspect::command(Step step, redis::Args args) {
  step_ = step;
  access_.client->command(args, redis::Intent::kRead, timer_.deadline(), *this);
}

void SharedInspect::on_reply(const redis::Reply& reply) noexcept {
  switch (step_) {
    case Step::state: {
      state_ = read_state(reply);
      const redis::Arg args[] = {"HGETALL", finding_.name};
      return command(Step::hash, args);
    }
    case Step::hash: {
      on_hash(reply);
      if (finding_.variants.empty()) return end(SharedFinding::Answer::absent);
      const redis::Arg args[] = {"PTTL", finding_.name};
      return command(Step::expiry, args);
    }
    case Step::expiry:
      if (reply.integer() >= 0) finding_.expiry = std::chrono::milliseconds(reply.integer());
      return ask_for_body();
    case Step::body:
      on_body(reply.integer());
      return ask_for_body();
    case Step::idle:
    case Step::ended:
      return;
  }
}

// What a user may not be permitted to ask, and a look-up need not, is just not known.
void SharedInspect::on_failed(Fault fault, std::string_view text) noexcept {
  const bool is_needed = step_ == Step::state || step_ == Step::hash;
  if (!is_needed && fault == Fault::kNoPerm) {
    bodies_.clear();
    return end(SharedFinding::Answer::found);
  }
  if (fault == Fault::kTimeout) return end(SharedFinding::Answer::late);
  finding_.problem = text;
  if (fault != Fault::kDisconnected && fault != Fault::kBreakerOpen) {
    return end(SharedFinding::Answer::refused);
  }
  const std::string_view last_error = access_.client->health().last_error;
  if (!last_error.empty()) finding_.problem = last_error;
  end(SharedFinding::Answer::away);
}

void SharedInspect::on_timer() noexcept {
  if (step_ != Step::ended) end(SharedFinding::Answer::late);
}

void SharedInspect::end(SharedFinding::Answer answer) {
  step_ = Step::ended;
  cancel();
  timer_.cancel();
  finding_.answer = answer;
  on_inspect_end();
}

// Judging
// ------------------------------------------------------------------------------------------

void SharedInspect::on_hash(const redis::Reply& reply) {
  Arena arena(loop_.chunks());
  const SharedJudge judge(cache_.store.purges(), server(), state_);
  const WallTime now = wall_now();
  std::vector<DecodedEntry> entries;
  const size_t count = std::min(reply.size() / 2, kMostShown);
  entries.reserve(count);  // what is chosen from points into it
  std::vector<const EntrySpec*> specs;
  auto at = reply.begin();
  for (size_t i = 0; i < count; ++i, ++at) {
    const redis::Reply value = *++at;
    DecodedEntry& entry = entries.emplace_back(decode_entry(value.text(), *key_, arena));
    SharedVariant& variant = finding_.variants.emplace_back();
    variant.record = value.text().size();
    variant.state = state_of(entry.verdict);
    if (entry.verdict != Decoded::good) continue;
    const EntrySpec& spec = entry.spec;
    variant.state = state_of(entry, server(), state_,
                             judge.standing(entry.note.stamp, spec.tags, spec.key.url), now);
    describe(spec, variant);
    if (!variant.is_of_use()) continue;
    specs.push_back(&spec);
    if (!entry.is_inline() && variant.bytes > 0) bodies_.push_back({i, entry.note.body_id});
  }
  const EntrySpec* chosen = choose_variant(specs, *request_, arena);
  for (size_t i = 0; i < count; ++i) finding_.variants[i].is_match = &entries[i].spec == chosen;
}

void SharedInspect::ask_for_body() {
  if (bodies_.empty()) return end(SharedFinding::Answer::found);
  const Body& body = bodies_.back();
  const uint64_t length = finding_.variants[body.variant].bytes;
  std::vector<std::string> names;
  for (uint64_t i = 0; i < chunk_count(std::min<uint64_t>(length, kLongestSharedBody)); ++i) {
    names.push_back(chunk_name(finding_.name, body.id, i));
  }
  std::vector<redis::Arg> args{"EXISTS"};
  args.insert(args.end(), names.begin(), names.end());
  command(Step::body, args);
}

void SharedInspect::on_body(int64_t chunks) {
  SharedVariant& variant = finding_.variants[bodies_.back().variant];
  bodies_.pop_back();
  if (static_cast<uint64_t>(chunks) < chunk_count(variant.bytes)) variant.state = State::no_body;
}

// What it says
// --------------------------------------------------------------------------------------

const SharedVariant* SharedFinding::match() const noexcept {
  const auto found = std::find_if(variants.begin(), variants.end(), [](const auto& variant) {
    return variant.is_match && variant.is_of_use();
  });
  return found == variants.end() ? nullptr : &*found;
}

std::string_view to_string(SharedVariant::State state) noexcept {
  switch (state) {
    case State::good:
      return "good";
    case State::soft_purged:
      return "soft purge";
    case State::purged:
      return "purged";
    case State::other_epoch:
      return "epoch";
    case State::behind:
      return "behind";
    case State::over:
      return "over";
    case State::ahead:
      return "ahead";
    case State::no_body:
      return "no-body";
    case State::broken:
      return "broken";
    case State::other_version:
      return "other-version";
    case State::other_key:
      return "other-key";
  }
  return "?";
}

std::string_view to_string(SharedFinding::Answer answer) noexcept {
  switch (answer) {
    case SharedFinding::Answer::found:
      return "found";
    case SharedFinding::Answer::absent:
      return "absent";
    case SharedFinding::Answer::late:
      return "late";
    case SharedFinding::Answer::away:
      return "away";
    case SharedFinding::Answer::refused:
      return "refused";
  }
  return "?";
}

}  // namespace sluice::cache
