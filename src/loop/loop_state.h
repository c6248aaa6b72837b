// What the other files of src/loop see of a Loop.
#pragma once

#include <uv.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "sluice/base/chain.h"
#include "sluice/loop/loop.h"
#include "timer_wheel.h"

namespace sluice::loop {

// One uv_timer for each wheel, armed while an entry hangs there.
class WheelDriver final : public TimerWheel::Driver {
 public:
  explicit WheelDriver(Loop& loop) noexcept : loop_(loop) {}
  void init(uv_loop_t* uv, TimerWheel* wheel) noexcept;
  void arm(TimePoint at) noexcept override;
  void disarm() noexcept override;
  uv_handle_t* handle() noexcept { return reinterpret_cast<uv_handle_t*>(&timer_); }

 private:
  Loop& loop_;
  TimerWheel* wheel_ = nullptr;
  uv_timer_t timer_;
};

// The one chunk that all streams of a loop read into, one at a time.
class ReadChunk {
 public:
  explicit ReadChunk(ChunkPool& pool) noexcept : pool_(pool) {}
  ReadChunk(const ReadChunk&) = delete;
  ReadChunk& operator=(const ReadChunk&) = delete;
  ~ReadChunk() {
    if (chunk_ != nullptr) ChunkPool::unref(chunk_);
  }

  struct Room {
    char* data;
    size_t size;
  };
  // Where the next read goes: the rest of the chunk, or a new one when less than kLeastRoom is
  // left.
  Room room();
  // The first `size` bytes of room().
  Slice slice(size_t size) const noexcept {
    return Slice::of_chunk(chunk_, chunk_->data() + used_, size);
  }
  // After the listener returned from slice(size): those bytes are overwritten unless it kept them.
  void advance(size_t size) noexcept { used_ = chunk_->refs == 1 ? 0 : used_ + size; }

 private:
  static constexpr size_t kLeastRoom = 4 * 1024;
  ChunkPool& pool_;
  Chunk* chunk_ = nullptr;
  size_t used_ = 0;
};

struct Loop::State {
  explicit State(Loop& owner) noexcept;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Runs turn-end hooks, then empties the graveyard; what they add comes too, for kRounds rounds.
  bool end_turn() noexcept;
  bool run_posted() noexcept;
  bool has_posted() noexcept;
  void wake() noexcept { uv_async_send(&async); }
  void close_own_handles() noexcept;

  static constexpr int kRounds = 16;

  uv_loop_t uv;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_async_t async;
  WheelDriver wheel_driver, short_wheel_driver;
  TimerWheel short_wheel, wheel;
  ReadChunk read_chunk;
  List<TurnEnd> hooks;
  List<Buried> graveyard;

  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // guarded by mutex
  std::atomic<bool> stop{false};

  TimePoint now{};
  TimePoint latest{};  // by read_clock()
  bool is_now_fresh = false;
  bool is_running = false;
  bool is_single_turn = false;  // run_once(): a hook's effect must not wait behind a blocking poll
  TimePoint turn_began{};
  Duration worst_lag{};
};

}  // namespace sluice::loop
