#include "sluice/upstream/wait_queue.h"

#include "sluice/upstream/pool_shared.h"

namespace sluice::upstream {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(50);

}  // namespace

void WaitQueue::init(PoolShared& shared, std::atomic<uint32_t>& total) noexcept {
  shared_ = &shared;
  total_ = &total;
}

void WaitQueue::attach(loop::Loop& loop) noexcept {
  if (attached_++ > 0) return;
  again_.emplace(
      loop, [](void* self) noexcept { static_cast<WaitQueue*>(self)->look_again(); }, this);
  std::lock_guard lock(mutex_);
  loop_ = &loop;
}

void WaitQueue::detach() noexcept {
  SL_CHECK(attached_ > 0);
  if (--attached_ > 0) return;
  unlink();
  again_.reset();
  std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

bool WaitQueue::add(Waiter& waiter, uint32_t most) noexcept {
  SL_CHECK(waiter.queue_ == nullptr);
  // Who was woken and found no place had a seat already.
  if (total_->fetch_add(1, std::memory_order_seq_cst) >= most && !is_waking_) {
    total_->fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  waiting_.store(waiting() + 1, std::memory_order_relaxed);
  waiter.queue_ = this;
  if (!again_->is_set()) again_->set_after(kLookAgain);
  if (is_waking_) {
    waiters_.push_front(waiter);
  } else {
    waiters_.push_back(waiter);
  }
  return true;
}

void Waiter::unlink() noexcept {
  if (queue_ != nullptr) queue_->left(*this);
}

void WaitQueue::left(Waiter& waiter) noexcept {
  static_cast<ListNode<Waiter>&>(waiter).unlink();
  waiter.queue_ = nullptr;
  waiting_.store(waiting() - 1, std::memory_order_relaxed);
  total_->fetch_sub(1, std::memory_order_relaxed);
}

void WaitQueue::wake() noexcept {
  if (is_waking_) wake_again_ = true;
  if (is_waking_ || is_linked() || loop_ == nullptr) return;
  loop_->at_turn_end(*this);
}

void WaitQueue::notify() {
  std::lock_guard lock(mutex_);
  if (loop_ == nullptr || is_notified_.exchange(true)) return;
  loop_->post([this, alive = shared_->shared_from_this()] {
    is_notified_.store(false);
    wake_waiters();
  });
}

void WaitQueue::look_again() noexcept {
  if (!has_waiters()) return;
  wake();
  again_->set_after(kLookAgain);
}

void WaitQueue::wake_waiters() noexcept {
  if (is_waking_) return;
  is_waking_ = true;
  found_full_ = wake_again_ = false;
  for (uint32_t most = waiting(); most > 0 && !found_full_; --most) {
    Waiter* waiter = waiters_.front();
    if (waiter == nullptr) break;
    left(*waiter);
    waiter->on_place_free();
  }
  is_waking_ = false;
  if (wake_again_ && has_waiters()) return wake();
  if (!found_full_) shared_->wake_others(*this);
}

}  // namespace sluice::upstream
