#include "sluice/orders/sqlite/job_queue.h"

#include <algorithm>

#include "sluice/base/check.h"

namespace sluice::orders {

std::unique_ptr<Job> JobQueue::push(std::unique_ptr<Job> job) {
  {
    std::lock_guard lock(mutex_);
    if (jobs_.size() >= room_) return job;
    jobs_.push_back(std::move(job));
    size_.store(jobs_.size(), std::memory_order_relaxed);
    // The thread takes all there is; only the first has to wake it.
    if (jobs_.size() > 1) return nullptr;
  }
  changed_.notify_one();
  return nullptr;
}

void JobQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_one();
}

bool JobQueue::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_stopped_ || !jobs_.empty(); });
  return !is_stopped_;
}

TimePoint JobQueue::first_deadline() {
  std::lock_guard lock(mutex_);
  SL_CHECK(!jobs_.empty());
  return jobs_.front()->deadline();
}

Jobs JobQueue::take(size_t most) {
  std::lock_guard lock(mutex_);
  const auto end = jobs_.begin() + static_cast<ptrdiff_t>(std::min(most, jobs_.size()));
  Jobs taken(std::make_move_iterator(jobs_.begin()), std::make_move_iterator(end));
  jobs_.erase(jobs_.begin(), end);
  size_.store(jobs_.size(), std::memory_order_relaxed);
  return taken;
}

Jobs JobQueue::take_expired(TimePoint now) {
  std::lock_guard lock(mutex_);
  Jobs taken;
  while (!jobs_.empty() && jobs_.front()->deadline() <= now) {
    taken.push_back(std::move(jobs_.front()));
    jobs_.pop_front();
  }
  size_.store(jobs_.size(), std::memory_order_relaxed);
  return taken;
}

bool JobQueue::pause(Duration duration) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, duration, [this] { return is_stopped_; });
}

}  // namespace sluice::orders
