// Calls on their way from the loop to a thread that talks to a database, and back.
//
// Owner: the store. push(), stop() and size() from any thread; the rest by the one thread that
// works. A Job is run there and finished on the loop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"

namespace sluice::orders {

class Job {
 public:
  explicit Job(TimePoint deadline) noexcept : deadline_(deadline) {}
  virtual ~Job() = default;
  virtual void run() = 0;
  virtual void fail(Error error) = 0;  // what run() found does not hold
  virtual Error error() const noexcept = 0;
  virtual void finish() = 0;  // on the loop
  TimePoint deadline() const noexcept { return deadline_; }

 private:
  TimePoint deadline_;
};
using Jobs = std::vector<std::unique_ptr<Job>>;

template <typename T>
class CallJob final : public Job {
 public:
  CallJob(TimePoint deadline, std::function<Result<T>()> call,
          std::function<void(Result<T>)> answer)
      : Job(deadline), call_(std::move(call)), answer_(std::move(answer)) {}
  void run() override { result_ = call_(); }
  void fail(Error error) override { result_ = error; }
  Error error() const noexcept override { return result_.error(); }
  void finish() override { answer_(std::move(result_)); }

 private:
  std::function<Result<T>()> call_;
  std::function<void(Result<T>)> answer_;
  Result<T> result_{Error(Errc::kCancelled)};
};

class JobQueue {
 public:
  // `room`: how many may wait.
  explicit JobQueue(size_t room) noexcept : room_(room) {}

  // Gives the job back when there is no room.
  std::unique_ptr<Job> push(std::unique_ptr<Job> job);
  // Lets the thread go on, and then end; jobs that wait are dropped.
  void stop();
  size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  // Waits for a job; false when stopped.
  bool wait();
  // When the job that waits longest gives up; only after wait().
  TimePoint first_deadline();
  Jobs take(size_t most);
  // Those that waited too long.
  Jobs take_expired(TimePoint now);
  // Sleeps; false when stopped.
  bool pause(Duration duration);

 private:
  const size_t room_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> jobs_;
  std::atomic<size_t> size_{0};
  bool is_stopped_ = false;
};

}  // namespace sluice::orders
