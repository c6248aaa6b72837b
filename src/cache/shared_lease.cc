// What comes after a reading: the lease of who fetches, waiting for another, and the end.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared_look.h"

namespace sluice::cache {
namespace {

using redis::Reply;
using stats::Counter;

constexpr const char* kLeaseTime = "10000";  // ms; of who fetches and dies
constexpr Duration kLongestPause = std::chrono::milliseconds(20);

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
  if (why == SharedMiss::late || why == SharedMiss::away) result_.stamp = {};
  if (why == SharedMiss::purged) result_.entry = nullptr;  // what an earlier one brought
  if (why == SharedMiss::none || !result_.entry) result_.why = why;
  result_.is_enough = why == SharedMiss::none && owner_.is_enough(*result_.entry);
  const bool is_of_use = why != SharedMiss::late && why != SharedMiss::away &&
                         why != SharedMiss::no_room && state_.is_known();
  if (result_.is_enough) {  // whoever fetches
    drop_lease();
    result_.is_fetched_elsewhere = false;
  }
  if (result_.is_enough || !is_of_use || result_.has_lease || !may_lease_) return end();
  if (!is_first_) return wait();
  step_ = Step::leasing;
  ask_for_lease();
}

void SharedLook::State::ask_for_lease() {
  token_ = fmt::format("{:016x}{:016x}", link_->random(), link_->random());
  const std::string key = lease_name(name_);
  link_->client().command({"SET", key, token_, "NX", "PX", kLeaseTime}, redis::Intent::kWrite,
                          deadline_, ask_lease_);
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

}  // namespace sluice::cache
