// The bytes of a stored response: appended by one fill, read by any worker, while it grows and
// after.
//
// Owner: by count (Ref<Body>; every Slice of it counts too). Thread: append(), complete() and
// fail() belong to the one filling worker; all else is for any. Bytes never move and never change
// once they are published, so readers take Slices and copy nothing.
//
//   make()                growing; append() copies bytes in and publishes the new length
//   complete() | fail()   the end, said once; nothing is appended any more
//   last Ref and Slice gone -> memory goes back to the budget, which must outlive it
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/base/chain.h"
#include "sluice/base/ref.h"
#include "sluice/cache/memory_budget.h"

namespace sluice::cache {

class Body final : public SharedBytes {
 public:
  enum class State : uint8_t { growing, complete, failed };
  // Length and state as they were at one moment.
  struct Progress {
    uint64_t size;
    State state;
  };

  // `length`: of the whole body where it is known; up to kLargestBlock it becomes one block then.
  // nullptr when the budget refuses.
  static Ref<Body> make(MemoryBudget& budget, std::optional<uint64_t> length) noexcept;
  // A complete body in one block; nullptr when the budget refuses.
  static Ref<Body> copy_of(MemoryBudget& budget, std::string_view bytes) noexcept;
  // The form to store of a complete body: itself, or a copy in one block where it is small and in
  // several blocks or wastes memory. Who reads the old one may go on.
  static Ref<Body> compact(Ref<Body> body) noexcept;

  // Filling worker only. False: the budget refuses, or it is more than was announced; then as much
  // of it as found room was appended, and the fill must fail() this body.
  [[nodiscard]] bool append(std::string_view bytes) noexcept;
  [[nodiscard]] bool append(const Chain& bytes) noexcept;
  // The whole body is here. False, and failed, when it is shorter than was announced.
  bool complete() noexcept;
  void fail() noexcept;

  Progress progress() const noexcept {
    const uint64_t word = progress_.load(std::memory_order_acquire);
    return {word >> kStateBits, static_cast<State>(word & kStateMask)};
  }
  uint64_t size() const noexcept { return progress().size; }
  bool is_complete() const noexcept { return progress().state == State::complete; }
  // The id under which its chunks stand in the shared tier, as far as this process knows; 0: none.
  // They may be gone there at any time. For any thread.
  uint64_t shared_id() const noexcept { return shared_id_.load(std::memory_order_relaxed); }
  void set_shared_id(uint64_t id) noexcept { shared_id_.store(id, std::memory_order_relaxed); }
  // Memory held. Exact when the body has ended.
  size_t cost() const noexcept { return cost_.load(std::memory_order_relaxed); }

  static constexpr size_t kLargestBlock = 1024 * 1024;

  // Storage comes from make() in one block with the first bytes.
  static void operator delete(void* body) noexcept { ::operator delete(body); }

 private:
  friend class BodyReader;
  static constexpr unsigned kStateBits = 2;
  static constexpr uint64_t kStateMask = 3;
  // A run of bytes. The first one lies behind the Body itself.
  struct Segment {
    Segment* next = nullptr;  // written before bytes in it are published, read after
    char* data = nullptr;
    size_t capacity = 0;
    uint64_t start = 0;  // offset of its first byte in the body
  };

  Body(MemoryBudget& budget, std::optional<uint64_t> length, size_t first) noexcept;
  ~Body() override;
  static size_t first_capacity(std::optional<uint64_t> length) noexcept;
  size_t next_capacity() const noexcept;
  bool grow() noexcept;
  void copy_in(std::string_view bytes) noexcept;
  void publish(State state) noexcept;

  std::atomic<uint64_t> progress_{0};
  std::atomic<size_t> cost_;
  std::atomic<uint64_t> shared_id_{0};
  MemoryBudget& budget_;
  const std::optional<uint64_t> length_;
  Segment first_;
  Segment* last_ = &first_;  // the filling worker's
  uint64_t written_ = 0;     // the filling worker's; published after each append()
};

// One reader's place in a body. Thread: the reader's.
class BodyReader {
 public:
  explicit BodyReader(Ref<Body> body, uint64_t from = 0) noexcept
      : body_(std::move(body)), segment_(&body_->first_), offset_(from) {}

  // Moves at most `most` of the bytes that are there to the end of `out`, without copying; returns
  // how many. From beyond the end it reads nothing.
  size_t read(Chain& out, size_t most);
  // Or all that is there, if it lies in one piece of at most `most` bytes; else nothing. Good as
  // long as the body is.
  std::string_view read_small(size_t most) noexcept;
  uint64_t offset() const noexcept { return offset_; }
  const Body& body() const noexcept { return *body_; }

 private:
  Ref<Body> body_;
  const Body::Segment* segment_;
  uint64_t offset_;
};

}  // namespace sluice::cache
