#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "shared_link.h"
#include "shared_read.h"
#include "sluice/cache/entry_codec.h"
#include "sluice/cache/store_redis.h"

namespace sluice::cache {
namespace {

using redis::Fault;
using redis::Intent;
using redis::Reply;
using stats::Counter;

constexpr const char* kLeaseTime = "10000";  // ms; of who fetches and dies
constexpr Duration kFirstPause = std::chrono::milliseconds(5);
constexpr Duration kLongestPause = std::chrono::milliseconds(20);

SharedMiss miss_of(Fault fault) noexcept {
  if (fault == Fault::kTimeout) return SharedMiss::late;
  return fault == Fault::kWrongType ? SharedMiss::broken : SharedMiss::away;
}

Counter counter_of(const SharedLook::Result& result) noexcept {
  if (result.entry) {
    return result.is_enough ? Counter::cache_redis_hits : Counter::cache_redis_stale;
  }
  switch (result.why) {
    case SharedMiss::none:
    case SharedMiss::absent:
    case SharedMiss::purged:
      return Counter::cache_redis_misses;
    case SharedMiss::late:
      return Counter::cache_redis_late;
    case SharedMiss::broken:
    case SharedMiss::away:
    case SharedMiss::no_room:
      break;
  }
  return Counter::cache_redis_errors;
}

}  // namespace

// One look, and the lease that it brought. While it is pending or has a lease it hangs in the
// link's list.
//
//   over --begin()--> asking --the record is an index--> body
//   asking, body --not enough--> leasing --another has it--> waiting --a pause--> asking
// After a pause the lease is asked for first and then what is there, in one write: who gets it
// sees all that the one before has written.
//   any --enough, no use, no time, cancel(), stop()--> over
struct SharedLook::State final : public LinkUser {
 public:
  explicit State(SharedLook& owner) noexcept : owner_(owner) {}

  void begin(SharedLink& link, const Question& question);
  void cancel() noexcept;
  void release() noexcept;
  bool is_pending() const noexcept { return step_ != Step::over; }

 private:
  enum class Step : uint8_t { over, asking, body, leasing, waiting };
  enum class Part : uint8_t { state, hash, chunk, lease };

  // One command, told apart by what it asks for.
  class Ask final : public redis::Call {
   public:
    Ask() noexcept = default;
    Ask(State& state, Part part) noexcept : state_(&state), part_(part) {}
    void belong_to(State& state) noexcept { state_ = &state; }

   private:
    void on_reply(const Reply& reply) noexcept override { state_->on_reply(part_, reply); }
    void on_failed(Fault fault, std::string_view) noexcept override {
      state_->on_failed(part_, fault);
    }
    State* state_ = nullptr;
    Part part_ = Part::chunk;
  };

  void ask(TimePoint deadline);
  void on_reply(Part part, const Reply& reply) noexcept;
  void on_failed(Part part, Fault fault) noexcept;
  void on_hash(const Reply& reply);
  void delete_fields(std::span<const std::string_view> fields);
  void on_broken_chunk();
  void on_record();
  void ask_for_body();
  void on_chunk(const Reply& reply);
  void make_entry();
  void on_read(SharedMiss why) noexcept;
  void ask_for_lease();
  void on_lease(const Reply& reply) noexcept;
  void wait() noexcept;
  void drop_lease() noexcept;
  void on_timer() noexcept;
  void on_link_stop() noexcept override;
  void on_link_gone() noexcept override;
  void stop_asking() noexcept;
  void forget_reading() noexcept;
  void let_go() noexcept;
  void end() noexcept;

  SharedLook& owner_;
  SharedLink* link_ = nullptr;
  Step step_ = Step::over;
  std::string key_text_;
  Key key_;
  std::string name_;  // of its hash
  const http::FieldList* request_ = nullptr;
  bool may_wait_ = false;
  bool is_first_ = true;  // the first reading, not one after a pause
  TimePoint began_{};
  TimePoint deadline_{};  // of this reading
  TimePoint wait_end_{};
  Duration pause_{};
  std::string token_;  // of the lease that is asked for, or there
  Result result_;

  // What this reading has brought.
  SharedStamp state_;
  std::optional<Arena> arena_;
  SharedRecord record_;
  uint64_t started_ = 0;
  Ref<Body> body_;
  size_t chunks_ = 0;
  size_t next_chunk_ = 0;

  Ask ask_state_{*this, Part::state};
  Ask ask_hash_{*this, Part::hash};
  Ask ask_lease_{*this, Part::lease};
  std::unique_ptr<Ask[]> ask_chunks_;
  std::optional<loop::Timer> timer_;
};

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
      if (fault == Fault::kWrongType) link_->run_errand({"UNLINK", name_});
      return on_read(miss_of(fault));
    case Part::chunk:
      return fault == Fault::kWrongType ? on_broken_chunk() : on_read(miss_of(fault));
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
  make_entry();
}

void SharedLook::State::on_broken_chunk() {
  delete_fields({&record_.field, 1});
  on_read(SharedMiss::broken);
}

void SharedLook::State::make_entry() {
  if (!body_) return on_read(SharedMiss::no_room);
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

// Who fetches
// --------------------------------------------------------------------------------------

// This reading is over.
void SharedLook::State::on_read(SharedMiss why) noexcept {
  stop_asking();
  forget_reading();
  link_->look_at_health();
  if (is_first_) {
    link_->counters().record(stats::Timing::redis_seconds, monotonic_now() - began_);
  }
  if (why == SharedMiss::purged) result_.entry = nullptr;  // what an earlier one brought
  if (why == SharedMiss::none || !result_.entry) result_.why = why;
  result_.is_enough = why == SharedMiss::none && owner_.is_enough(*result_.entry);
  const bool is_of_use = why != SharedMiss::late && why != SharedMiss::away &&
                         why != SharedMiss::no_room && state_.is_known();
  if (result_.is_enough) drop_lease();
  if (result_.is_enough || !is_of_use || result_.has_lease) return end();
  if (!is_first_) return wait();
  step_ = Step::leasing;
  ask_for_lease();
}

void SharedLook::State::ask_for_lease() {
  token_ = fmt::format("{:016x}{:016x}", link_->random(), link_->random());
  const std::string key = lease_name(name_);
  link_->client().command({"SET", key, token_, "NX", "PX", kLeaseTime}, Intent::kWrite, deadline_,
                          ask_lease_);
}

void SharedLook::State::on_lease(const Reply& reply) noexcept {
  result_.has_lease = !reply.is_nil();
  result_.is_fetched_elsewhere = reply.is_nil();
  if (!result_.has_lease) token_.clear();
  if (step_ != Step::leasing) return;  // what is there comes next
  if (result_.has_lease || !may_wait_) return end();
  wait();
}

void SharedLook::State::wait() noexcept {
  const TimePoint now = link_->loop().now();
  if (is_first_) {
    link_->counters().add(Counter::cache_redis_leases_waited);
    wait_end_ = now + link_->settings().lease_wait;
    is_first_ = false;
  }
  step_ = Step::waiting;
  timer_->set(std::min(now + pause_, wait_end_));
  pause_ = std::min(2 * pause_, kLongestPause);
}

// A pause is over, or all the waiting is, whatever is being asked then.
void SharedLook::State::on_timer() noexcept {
  const TimePoint now = link_->loop().now();
  if (now >= wait_end_) {
    stop_asking();
    return end();
  }
  timer_->set(wait_end_);
  ask(now + link_->settings().timeout);
}

void SharedLook::State::release() noexcept {
  if (is_pending() || token_.empty()) return;
  link_->writer().release(name_, std::exchange(token_, {}));
  let_go();
}

// The end
// ------------------------------------------------------------------------------------------

// Replies that come now are dropped.
void SharedLook::State::stop_asking() noexcept {
  ask_state_.cancel();
  ask_hash_.cancel();
  for (size_t i = 0; i < chunks_; ++i) ask_chunks_[i].cancel();
  if (!ask_lease_.is_pending()) return;
  ask_lease_.cancel();  // it may be granted yet
  drop_lease();
}

void SharedLook::State::drop_lease() noexcept {
  result_.has_lease = false;
  if (!token_.empty()) link_->drop_lease(name_, std::exchange(token_, {}));
}

// But for the array of calls: one of them may be who says so.
void SharedLook::State::forget_reading() noexcept {
  record_ = {};
  arena_.reset();
  body_ = nullptr;
}

void SharedLook::State::let_go() noexcept {
  ListNode<LinkUser>::unlink();
  link_ = nullptr;
}

// The owner may do anything in there but destroy the look.
void SharedLook::State::end() noexcept {
  step_ = Step::over;
  timer_->cancel();
  forget_reading();
  link_->counters().add(counter_of(result_));
  if (result_.has_lease) link_->counters().add(Counter::cache_redis_leases_taken);
  const Result result = std::exchange(result_, {});
  if (!result.has_lease) let_go();
  owner_.on_look_end(result);
}

void SharedLook::State::cancel() noexcept {
  if (!is_pending()) return;
  stop_asking();
  drop_lease();
  step_ = Step::over;
  timer_->cancel();
  forget_reading();
  result_ = {};
  let_go();
}

void SharedLook::State::on_link_stop() noexcept {
  if (!is_pending()) return;
  stop_asking();
  if (!result_.entry) result_.why = SharedMiss::away;
  end();
}

void SharedLook::State::on_link_gone() noexcept {
  cancel();
  token_.clear();
  link_ = nullptr;
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
