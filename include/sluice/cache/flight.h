// One response being fetched for many: who asks for the same key meanwhile waits here, and reads
// the body as it grows (request collapsing).
//
//   state     what there is                                  what who waits does
//   asking    nothing yet                                    waits on
//   growing   entry(), its body still growing                sends it on, if it is a variant for it
//   stored    entry(), whole; the store has it too           the same
//   refused   a response for its asker alone                 asks for itself
//   failed    none, or its body broke off; error() says why  asks again, a few times
// The last three are the end. Owner: by count (Ref<Flight>): the filling worker's one, one of each
// who waits, one of each wake-up under way. Thread: grow(), note_growth() and end() belong to the
// filling worker; wait() and leave() to that of the waiter; all else is for any.
// A worker is woken through its loop's mailbox, at most once a turn however much the body grew.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "sluice/base/error.h"
#include "sluice/base/list.h"
#include "sluice/base/ref.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/key.h"
#include "sluice/loop/loop.h"

namespace sluice::cache {

class Flight;

class FlightWaiter : private ListNode<FlightWaiter> {
 public:
  bool is_waiting() const noexcept { return flight_ != nullptr; }
  void leave() noexcept;

 protected:
  ~FlightWaiter() { leave(); }

 private:
  friend class Flight;
  friend class List<FlightWaiter>;
  // Facts have changed. From the loop, any number of times until it leaves.
  virtual void on_flight_progress() noexcept = 0;

  Flight* flight_ = nullptr;
  uint32_t worker_ = 0;
};

class Flight {
 public:
  enum class State : uint8_t { asking, growing, stored, refused, failed };

  Flight(const Key& key, uint64_t started, uint32_t workers);

  void ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void unref() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  const std::string& key_text() const noexcept { return key_text_; }
  const Hash128& hash() const noexcept { return hash_; }
  // Purges::last() when it began: a purge after that may be of what it brings.
  uint64_t started() const noexcept { return started_; }
  State state() const noexcept { return state_.load(std::memory_order_seq_cst); }
  bool is_over() const noexcept { return state() > State::growing; }
  const Ref<Entry>& entry() const noexcept { return entry_; }  // from growing on
  Error error() const noexcept { return error_; }              // once failed
  int status() const noexcept { return status_; }              // once refused

  // False when too many wait. Look at state() after it: what happened before is not told.
  bool wait(FlightWaiter& waiter, loop::Loop& loop, uint32_t worker) noexcept;

  void grow(Ref<Entry> entry) noexcept;
  void note_growth() noexcept { wake(); }
  // `status`: with refused, of the response that its asker alone gets.
  void end(State state, Error error = {}, int status = 0) noexcept;

  static constexpr uint32_t kMostWaiters = 16384;

 private:
  friend class FlightWaiter;
  // Of one worker. Its list is touched on that worker only.
  struct alignas(64) Seat {
    List<FlightWaiter> waiters;
    std::atomic<uint32_t> count{0};
    std::atomic<loop::Loop*> loop{nullptr};
    std::atomic<bool> is_told{false};
  };

  ~Flight() = default;
  void set(State state) noexcept { state_.store(state, std::memory_order_seq_cst); }
  void wake() noexcept;
  void tell(Seat& seat) noexcept;

  std::atomic<uint32_t> refs_{1};
  std::atomic<uint32_t> waiting_{0};
  std::atomic<State> state_{State::asking};
  const std::string key_text_;
  const Hash128 hash_;
  const uint64_t started_;
  Ref<Entry> entry_;
  Error error_;
  int status_ = 0;
  const uint32_t workers_;
  std::unique_ptr<Seat[]> seats_;
};

// The flights of a process. Thread: any.
class Flights {
 public:
  explicit Flights(uint32_t workers) : workers_(workers) {}

  struct Joined {
    Ref<Flight> flight;
    bool is_first = false;  // the caller fetches, and owes finish()
  };
  // `now`: Purges::last().
  Joined join(const Key& key, uint64_t now);
  // Nobody new joins; then flight.end() may be called.
  void finish(Flight& flight) noexcept { retire(flight); }
  // Nobody new joins, and who comes for the key begins another one. Any number of times.
  void retire(Flight& flight) noexcept;

  size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 64;
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_multimap<uint64_t, Flight*> flights;  // each with one reference
  };

  const uint32_t workers_;
  std::atomic<size_t> count_{0};
  Shard shards_[kShards];
};

}  // namespace sluice::cache
