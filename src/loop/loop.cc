#include "sluice/loop/loop.h"

#include <uv.h>

#include <algorithm>
#include <csignal>

#include "loop_state.h"
#include "sluice/base/check.h"

namespace sluice::loop {
namespace {

template <typename Handle>
uv_handle_t* as_handle(Handle* handle) noexcept {
  return reinterpret_cast<uv_handle_t*>(handle);
}

Loop::State& state_of(uv_handle_t* own) noexcept { return *static_cast<Loop::State*>(own->data); }

void ignore_sigpipe_once() noexcept {
  static const bool is_done = std::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
  SL_CHECK(is_done);
}

// Before the poll, after timers and write callbacks.
void on_prepare(uv_prepare_t* handle) noexcept {
  Loop::State& state = state_of(as_handle(handle));
  bool worked = state.end_turn();
  if (worked && state.is_single_turn) state.wake();
  if (state.turn_began != TimePoint{}) {
    state.worst_lag = std::max(state.worst_lag, monotonic_now() - state.turn_began);
  }
  state.is_now_fresh = false;  // the poll may wait long
}

// After the poll's callbacks.
void on_check(uv_check_t* handle) noexcept {
  Loop::State& state = state_of(as_handle(handle));
  state.end_turn();
  // libuv took its time when the poll returned.
  state.turn_began = TimePoint(std::chrono::milliseconds(uv_now(&state.uv)));
  state.is_now_fresh = false;
}

void on_async(uv_async_t* handle) noexcept {
  Loop::State& state = state_of(as_handle(handle));
  state.run_posted();
  if (state.stop.load(std::memory_order_relaxed)) uv_stop(&state.uv);
}

void check_is_closing(uv_handle_t* handle, void*) noexcept {
  // A Stream, Timer, Poll, Acceptor or Signals outlives its Loop.
  SL_CHECK(uv_is_closing(handle));
}

}  // namespace

// The life of a loop
// -------------------------------------------------------------------------------

Loop::Loop() : state_(std::make_unique<State>(*this)) { ignore_sigpipe_once(); }

Loop::State::State(Loop& owner) noexcept
    : wheel_driver(owner),
      short_wheel_driver(owner),
      short_wheel(std::chrono::milliseconds(1), short_wheel_driver),
      wheel(std::chrono::milliseconds(10), wheel_driver, &short_wheel),
      read_chunk(owner.chunks_) {
  SL_CHECK(uv_loop_init(&uv) == 0);
  wheel_driver.init(&uv, &wheel);
  short_wheel_driver.init(&uv, &short_wheel);
  SL_CHECK(uv_prepare_init(&uv, &prepare) == 0);
  SL_CHECK(uv_check_init(&uv, &check) == 0);
  SL_CHECK(uv_async_init(&uv, &async, on_async) == 0);
  prepare.data = check.data = async.data = this;
  SL_CHECK(uv_prepare_start(&prepare, on_prepare) == 0);
  SL_CHECK(uv_check_start(&check, on_check) == 0);
  uv_unref(as_handle(&prepare));
  uv_unref(as_handle(&check));
  uv_unref(as_handle(&async));
}

void Loop::run() {
  State& state = *state_;
  SL_CHECK(!state.is_running);
  state.is_running = true;
  while (!state.stop.exchange(false)) {
    state.is_now_fresh = false;
    bool worked = state.end_turn();
    worked = state.run_posted() || worked;
    if (!worked && uv_loop_alive(&state.uv) == 0) break;
    uv_run(&state.uv, UV_RUN_DEFAULT);
  }
  state.end_turn();
  state.is_running = false;
  state.turn_began = TimePoint{};
}

bool Loop::run_once(bool may_wait) {
  State& state = *state_;
  SL_CHECK(!state.is_running);
  state.is_running = state.is_single_turn = true;
  bool worked = state.end_turn();
  worked = state.run_posted() || worked;
  uv_run(&state.uv, may_wait && !worked ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  worked = state.end_turn();
  state.is_running = state.is_single_turn = false;
  state.turn_began = TimePoint{};
  return worked || state.has_posted() || uv_loop_alive(&state.uv) != 0;
}

void Loop::stop() noexcept {
  state_->stop.store(true);
  state_->wake();
}

void Loop::set_resident(bool resident) noexcept {
  (resident ? uv_ref : uv_unref)(as_handle(&state_->async));
}

Loop::~Loop() {
  State& state = *state_;
  SL_CHECK(!state.is_running);
  for (int round = 0; round < State::kRounds; ++round) {
    std::vector<std::function<void()>> unrun;
    {
      std::lock_guard lock(state.mutex);
      unrun.swap(state.posted);
    }
    if (!state.end_turn() && unrun.empty()) break;
  }
  state.close_own_handles();
  uv_walk(&state.uv, check_is_closing, nullptr);
  uv_run(&state.uv, UV_RUN_DEFAULT);  // look-ups and works under way end here, unheard
  state.end_turn();
  SL_CHECK(uv_loop_close(&state.uv) == 0);
}

void Loop::State::close_own_handles() noexcept {
  uv_close(wheel_driver.handle(), nullptr);
  uv_close(short_wheel_driver.handle(), nullptr);
  uv_close(as_handle(&prepare), nullptr);
  uv_close(as_handle(&check), nullptr);
  uv_close(as_handle(&async), nullptr);
}

// Time
// ---------------------------------------------------------------------------------------------

TimePoint Loop::now() noexcept {
  State& state = *state_;
  if (!state.is_now_fresh || !state.is_running) {
    state.now = monotonic_now();
    state.is_now_fresh = true;
  }
  return state.now;
}

TimePoint Loop::read_clock() noexcept { return state_->latest = monotonic_now(); }

TimePoint Loop::latest() noexcept { return std::max(now(), state_->latest); }

Duration Loop::take_lag() noexcept { return std::exchange(state_->worst_lag, Duration{}); }

TimerWheel& Loop::wheel() noexcept { return state_->wheel; }
TimerWheel& Loop::short_wheel() noexcept { return state_->short_wheel; }
uv_loop_s* Loop::uv() noexcept { return &state_->uv; }

void WheelDriver::init(uv_loop_t* uv, TimerWheel* wheel) noexcept {
  wheel_ = wheel;
  SL_CHECK(uv_timer_init(uv, &timer_) == 0);
  timer_.data = this;
}

void WheelDriver::arm(TimePoint at) noexcept {
  // libuv's clock is ours in whole milliseconds, and slots begin on whole milliseconds.
  auto due = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count();
  auto cached = static_cast<int64_t>(uv_now(timer_.loop));
  auto on_timer = [](uv_timer_t* timer) noexcept {
    auto& self = *static_cast<WheelDriver*>(timer->data);
    // A time kept from before libuv looked at its clock may lie before the slot that is due; hung
    // anew with no time to wait, the timer would be called again within this very turn, for ever.
    self.loop_.state().is_now_fresh = false;
    self.wheel_->advance(self.loop_.now());
  };
  uv_timer_start(&timer_, on_timer, static_cast<uint64_t>(std::max<int64_t>(due - cached, 0)), 0);
}

void WheelDriver::disarm() noexcept { uv_timer_stop(&timer_); }

// The end of a turn, and the mailbox
// ---------------------------------------------------------------

void Loop::at_turn_end(TurnEnd& object) noexcept {
  if (!object.is_linked()) state_->hooks.push_back(object);
}

void Loop::bury(Buried* object) noexcept { state_->graveyard.push_back(*object); }

bool Loop::State::end_turn() noexcept {
  for (int round = 0; round < kRounds; ++round) {
    if (hooks.is_empty() && graveyard.is_empty()) return round > 0;
    List<TurnEnd> ending;
    ending.splice_back(hooks);
    while (TurnEnd* hook = ending.pop_front()) hook->on_turn_end();
    List<Buried> dead;
    dead.splice_back(graveyard);
    while (Buried* object = dead.pop_front()) object->dispose();
  }
  wake();  // the rest in the next turn, which must not wait for an event
  return true;
}

void Loop::post(std::function<void()> task) {
  bool was_empty;
  {
    std::lock_guard lock(state_->mutex);
    was_empty = state_->posted.empty();
    state_->posted.push_back(std::move(task));
  }
  if (was_empty) state_->wake();
}

// Tasks posted by these tasks run in the next turn, so that I/O gets its share.
bool Loop::State::run_posted() noexcept {
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex);
    tasks.swap(posted);
  }
  for (auto& task : tasks) task();
  return !tasks.empty();
}

bool Loop::State::has_posted() noexcept {
  std::lock_guard lock(mutex);
  return !posted.empty();
}

// Reading
// ------------------------------------------------------------------------------------------

ReadChunk::Room ReadChunk::room() {
  if (chunk_ != nullptr && chunk_->refs == 1) used_ = 0;  // what was kept is gone again
  if (chunk_ != nullptr && chunk_->capacity - used_ < kLeastRoom) {
    ChunkPool::unref(chunk_);
    chunk_ = nullptr;
  }
  if (chunk_ == nullptr) {
    chunk_ = pool_.get();
    used_ = 0;
  }
  return {chunk_->data() + used_, chunk_->capacity - used_};
}

}  // namespace sluice::loop
