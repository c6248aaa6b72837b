// How many connections of clients one process holds at most, by its limit of open files: so many
// that each can have one to an endpoint too, and that probes, logs and the admin door always find
// a descriptor. Beyond it accepting pauses; who waits in the kernel's queue is served later.
//
// Owner: server/engine.h, shared by the listeners (not the admin one). Thread: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace sluice::downstream {

class ClientCeiling {
 public:
  explicit ClientCeiling(uint64_t most) noexcept : most_(most) {}

  // Kept for the process itself: its loops, sockets, logs, probes.
  static constexpr uint64_t kReserve = 48;
  static constexpr uint64_t kReserveOfWorker = 8;
  static uint64_t for_limit(uint64_t open_files, uint32_t workers) noexcept {
    const uint64_t reserve = kReserve + kReserveOfWorker * workers;
    return std::max<uint64_t>(open_files > reserve ? (open_files - reserve) / 2 : 0, 4);
  }

  void enter() noexcept { open_.fetch_add(1, std::memory_order_relaxed); }
  void leave() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
  bool is_reached() const noexcept { return open_.load(std::memory_order_relaxed) >= most_; }
  uint64_t most() const noexcept { return most_; }

 private:
  const uint64_t most_;
  std::atomic<uint64_t> open_{0};
};

}  // namespace sluice::downstream
