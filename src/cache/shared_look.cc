#include "shared_look.h"

#include <utility>
#include <vector>

#include "sluice/cache/entry_codec.h"

namespace sluice::cache {
namespace {

using redis::Fault;
using redis::Intent;
using redis::Reply;

constexpr Duration kFirstPause = std::chrono::milliseconds(5);

// The key holds nothing of ours.
bool is_foreign(Fault fault) noexcept {
  return fault == Fault::kWrongType || fault == Fault::kTooLarge;
}

SharedMiss miss_of(Fault fault) noexcept {
  if (fault == Fault::kTimeout) return SharedMiss::late;
  return is_foreign(fault) ? SharedMiss::broken : SharedMiss::away;
}

}  // namespace

// Asking
// -------------------------------------------------------------------------------------------

void SharedLook::State::begin(SharedLink& link, const Question& question) {
  SL_CHECK(!is_pending());
  release();
  link_ = &link;
  link.add(*this);
  key_text_ = question.key.text;
  key_ = question.key;
  key_.text = key_text_;
  key_.url =
      key_.text.substr(static_cast<size_t>(question.key.url.data() - question.key.text.data()),
                       question.key.url.size());
  name_ = link.name_of(key_.hash);
  request_ = &question.request;
  may_lease_ = question.may_lease;
  may_wait_ = question.may_wait && link.settings().lease_wait > Duration{0};
  is_first_ = true;
  result_ = {};
  wait_end_ = {};
  pause_ = kFirstPause;
  if (!timer_) {
    timer_.emplace(
        link.loop(), [](void* state) noexcept { static_cast<State*>(state)->on_timer(); }, this);
  }
  began_ = monotonic_now();
  ask(link.loop().now() + link.settings().timeout);
}

// The replies come in this order.
void SharedLook::State::ask(TimePoint deadline) {
  step_ = Step::asking;
  deadline_ = deadline;
  state_ = {};
  if (!is_first_) ask_for_lease();
  redis::Client& client = link_->client();
  client.command({"HMGET", link_->state_name(), "epoch", "purges"}, Intent::kRead, deadline,
                 ask_state_);
  client.command({"HGETALL", name_}, Intent::kRead, deadline, ask_hash_);
}

void SharedLook::State::on_reply(Part part, const Reply& reply) noexcept {
  switch (part) {
    case Part::state:
      state_ = read_state(reply);
      if (state_.is_known()) result_.stamp = state_;
      return;
    case Part::hash:
      return on_hash(reply);
    case Part::chunk:
      return on_chunk(reply);
    case Part::lease:
      return on_lease(reply);
  }
}

void SharedLook::State::on_failed(Part part, Fault fault) noexcept {
  switch (part) {
    case Part::state:  // what it fails for is the other's end as well, or it is not known
      return;
    case Part::hash:
      if (is_foreign(fault)) link_->run_errand({"UNLINK", name_});
      return on_read(miss_of(fault));
    case Part::chunk:
      if (is_foreign(fault)) return on_broken_chunk();
      if (fault == Fault::kTimeout) {
        const TimePoint now = monotonic_now();
        link_->pace().note_late(*record_.entry.spec.complete_length, body_->size(),
                                now - body_began_, now);
      }
      return on_read(miss_of(fault));
    case Part::lease:  // perhaps it was granted, and nobody heard
      drop_lease();
      if (step_ == Step::leasing) end();
      return;
  }
}

void SharedLook::State::on_hash(const Reply& reply) {
  if (!state_.is_known()) return on_read(SharedMiss::absent);
  const SharedJudge judge(link_->cache().store.purges(), link_->server(), state_);
  started_ = judge.started();
  arena_.emplace(link_->loop().chunks());
  record_ = choose_record(reply, {key_, *request_, judge, wall_now()}, *arena_);
  delete_fields(record_.broken);
  if (record_.why != SharedMiss::none) return on_read(record_.why);
  on_record();
}

// The body
// -----------------------------------------------------------------------------------------

void SharedLook::State::on_record() {
  const uint64_t length = *record_.entry.spec.complete_length;
  MemoryStore& store = link_->cache().store;
  if (!store.may_store(length) || length > kLongestSharedBody) return on_read(SharedMiss::no_room);
  if (!record_.entry.is_inline()) return ask_for_body();
  body_ = Body::copy_of(store.budget(), record_.entry.body);
  make_entry();
}

// All chunks at once; they come in this order.
void SharedLook::State::ask_for_body() {
  const uint64_t length = *record_.entry.spec.complete_length;
  body_began_ = monotonic_now();
  if (!link_->pace().is_in_time(length, deadline_ - body_began_, body_began_)) {
    return on_read(SharedMiss::late);
  }
  body_ = Body::make(link_->cache().store.budget(), length);
  if (!body_) return on_read(SharedMiss::no_room);
  step_ = Step::body;
  next_chunk_ = 0;
  const size_t count = chunk_count(length);
  ask_chunks_ = std::make_unique<Ask[]>(count);
  for (size_t i = 0; i < count; ++i) {
    ask_chunks_[i].belong_to(*this);
    const std::string key = chunk_name(name_, record_.entry.note.body_id, i);
    link_->client().command({"GET", key}, Intent::kRead, deadline_, ask_chunks_[i]);
  }
  chunks_ = count;
}

void SharedLook::State::on_chunk(const Reply& reply) {
  if (reply.is_nil()) return on_read(SharedMiss::absent);  // evicted
  const RecordNote& note = record_.entry.note;
  const uint64_t length = *record_.entry.spec.complete_length;
  const auto bytes = decode_chunk(reply.text(), note.body_id, next_chunk_, length);
  if (!bytes) return on_broken_chunk();
  if (!body_->append(*bytes)) return on_read(SharedMiss::no_room);
  if (++next_chunk_ < chunks_) return;
  SL_CHECK(body_->complete());
  const TimePoint now = monotonic_now();
  link_->pace().note_whole(body_->size(), now - body_began_, now);
  make_entry();
}

void SharedLook::State::on_broken_chunk() {
  delete_fields({&record_.field, 1});
  // So that a body which names it is written anew.
  const uint64_t id = record_.entry.note.body_id;
  link_->run_errand({"UNLINK", chunk_name(name_, id, next_chunk_)});
  on_read(SharedMiss::broken);
}

void SharedLook::State::make_entry() {
  if (!body_) return on_read(SharedMiss::no_room);
  body_->set_shared_id(record_.entry.note.body_id);
  const EntryPart part{0, std::move(body_)};
  EntrySpec& spec = record_.entry.spec;
  spec.parts = {&part, 1};
  spec.started = started_;
  Ref<Entry> entry = Entry::make(link_->cache().store.budget(), spec);
  if (!entry) return on_read(SharedMiss::no_room);
  if (record_.is_stale) entry->mark_stale();
  result_.entry = std::move(entry);
  on_read(SharedMiss::none);
}

void SharedLook::State::delete_fields(std::span<const std::string_view> fields) {
  if (fields.empty()) return;
  std::vector<redis::Arg> args{"HDEL", name_};
  args.insert(args.end(), fields.begin(), fields.end());
  link_->run_errand(args);
}

// What its owner sees
// ------------------------------------------------------------------------------

SharedLook::SharedLook() noexcept = default;

SharedLook::~SharedLook() {
  cancel();
  release();
}

void SharedLook::look(SharedStore& store, const Question& question) {
  if (!state_) state_ = std::make_unique<State>(*this);
  state_->begin(store.link_of(question.key), question);
}

void SharedLook::cancel() noexcept {
  if (state_) state_->cancel();
}

bool SharedLook::is_pending() const noexcept { return state_ && state_->is_pending(); }

void SharedLook::release() noexcept {
  if (state_) state_->release();
}

}  // namespace sluice::cache
