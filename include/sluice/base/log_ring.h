// A bounded ring of bytes from one thread to the log writer; a full ring drops and counts.
//
// Producer: one thread, which calls reserve(), commit(), push(), is_half_full(). Consumer: the
// LogWriter's thread, which calls peek() and release(). Records are whole lines; none is ever cut.
//
// Positions count bytes for ever; a byte's place is its position modulo the capacity. A record that
// does not fit before the end starts at the beginning instead, and wrap_at_ says where the lap's
// records ended. That field cannot change under the consumer: the producer gets to its next wrap
// only after the consumer has released everything before this one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sluice {

class LogRing {
 public:
  // `capacity` is rounded up to a power of two.
  explicit LogRing(size_t capacity);
  LogRing(const LogRing&) = delete;
  LogRing& operator=(const LogRing&) = delete;

  // Room for one record of up to `size` bytes, contiguous, or nullptr when the ring is full or the
  // record is longer than half of it (which is counted as one dropped record). Then commit() with
  // the bytes really used; 0 gives the room back.
  char* reserve(size_t size) noexcept;
  void commit(size_t used) noexcept;
  bool push(std::string_view record) noexcept;

  bool is_half_full() const noexcept;
  size_t capacity() const noexcept { return capacity_; }
  // From any thread.
  uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

  // Consumer: hands up to two spans of whole records and then releases them.
  struct Spans {
    std::string_view first, second;
    uint64_t end = 0;  // the position behind them
    bool is_empty() const noexcept { return first.empty(); }
    size_t size() const noexcept { return first.size() + second.size(); }
  };
  Spans peek() const noexcept;
  void release(const Spans& spans) noexcept { release(spans, spans.size()); }
  void release(const Spans& spans, size_t bytes) noexcept;  // only the first `bytes` of them

 private:
  uint64_t lap_start(uint64_t position) const noexcept {
    return position & ~uint64_t{capacity_ - 1};
  }
  char* at(uint64_t position) const noexcept { return bytes_.get() + (position & (capacity_ - 1)); }
  void count_drop() noexcept;

  const size_t capacity_;
  const std::unique_ptr<char[]> bytes_;
  alignas(64) std::atomic<uint64_t> head_{0};  // written by the producer, as all up to tail_
  std::atomic<uint64_t> wrap_at_{0};
  std::atomic<uint64_t> dropped_{0};
  uint64_t reserved_at_ = 0;
  uint64_t reserved_ = 0;
  uint64_t cached_tail_ = 0;
  alignas(64) std::atomic<uint64_t> tail_{0};  // written by the consumer
};

}  // namespace sluice
