// What the whole harness stands on: failures, deadlines, descriptors. Plain POSIX and threads,
// nothing of sluice, so that the harness judges independently.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace e2e {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A sanitizer makes both sides slower; times that are upper bounds are multiplied by this.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSlow = 4;
inline constexpr bool kSanitized = true;
#else
inline constexpr int kSlow = 1;
inline constexpr bool kSanitized = false;
#endif

// How long anything is waited for that must come.
inline constexpr milliseconds kPatience{8000 * kSlow};

// Thrown by whatever did not go as expected; doctest and the origins' threads report what().
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Deadline {
 public:
  explicit Deadline(milliseconds after = kPatience) : at_(Clock::now() + after) {}
  bool is_over() const { return Clock::now() >= at_; }
  int left_ms() const;  // at least 0, for poll(2)
  Clock::time_point at() const { return at_; }

 private:
  Clock::time_point at_;
};

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { close(); }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void close();

 private:
  int fd_ = -1;
};

// Something that a test opens when a script may go on.
class Gate {
 public:
  void open();
  void wait();  // fails when it stays shut
  bool is_open();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Looks again and again, without a fixed wait; false when the deadline passes first.
bool eventually(const std::function<bool()>& predicate, milliseconds within = kPatience);

// The time that a piece of work took.
milliseconds time_of(const std::function<void()>& work);

std::string printable(const std::string& bytes);  // control bytes as \r \n \xHH
std::string repeat(const std::string& text, size_t times);
std::string lower(std::string text);

}  // namespace e2e
