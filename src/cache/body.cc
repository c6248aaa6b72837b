#include "sluice/cache/body.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace sluice::cache {
namespace {

constexpr size_t kSmallestBlock = 4 * 1024;
constexpr size_t kLargestGrowth = 256 * 1024;  // of a body whose length is not known
constexpr size_t kLargestCopy = kLargestGrowth;

void* allocate(size_t size) noexcept { return ::operator new(size, std::nothrow); }

}  // namespace

Ref<Body> Body::make(MemoryBudget& budget, std::optional<uint64_t> length) noexcept {
  const size_t first = first_capacity(length);
  const size_t cost = heap_cost(sizeof(Body) + first);
  if (!budget.reserve(cost)) return nullptr;
  void* storage = allocate(sizeof(Body) + first);
  if (storage == nullptr) {
    budget.release(cost);
    return nullptr;
  }
  return Ref<Body>::adopt(new (storage) Body(budget, length, first));
}

Ref<Body> Body::copy_of(MemoryBudget& budget, std::string_view bytes) noexcept {
  Ref<Body> body = make(budget, bytes.size());
  if (!body || !body->append(bytes) || !body->complete()) return nullptr;
  return body;
}

Ref<Body> Body::compact(Ref<Body> body) noexcept {
  const uint64_t size = body->size();
  const bool is_one = body->last_ == &body->first_;
  const bool is_tight = body->first_.capacity - size / 8 <= size;  // at most an eighth unused
  if (size > kLargestCopy || (is_one && is_tight)) return body;
  Ref<Body> copy = make(body->budget_, size);
  if (!copy) return body;
  for (const Segment* from = &body->first_; from != nullptr; from = from->next) {
    copy->copy_in({from->data, std::min<uint64_t>(from->capacity, size - from->start)});
  }
  copy->publish(State::complete);
  return copy;
}

bool Body::append(std::string_view bytes) noexcept {
  SL_CHECK(progress().state == State::growing);
  const bool fits = !length_ || bytes.size() <= *length_ - written_;
  if (!fits) bytes = bytes.substr(0, *length_ - written_);
  bool has_room = true;
  while (!bytes.empty()) {
    const size_t room = last_->start + last_->capacity - written_;
    if (room == 0) {
      has_room = grow();
      if (!has_room) break;
      continue;
    }
    const size_t size = std::min(room, bytes.size());
    copy_in(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  publish(State::growing);
  return fits && has_room;
}

bool Body::append(const Chain& bytes) noexcept {
  for (size_t i = 0; i < bytes.slice_count(); ++i) {
    if (!append(bytes.slice(i).view())) return false;
  }
  return true;
}

bool Body::complete() noexcept {
  SL_CHECK(progress().state == State::growing);
  const bool is_whole = !length_ || *length_ == written_;
  publish(is_whole ? State::complete : State::failed);
  return is_whole;
}

void Body::fail() noexcept {
  SL_CHECK(progress().state == State::growing);
  publish(State::failed);
}

size_t BodyReader::read(Chain& out, size_t most) {
  const uint64_t size = body_->size();
  size_t taken = 0;
  while (taken < most && offset_ < size) {
    while (offset_ - segment_->start >= segment_->capacity) segment_ = segment_->next;
    const uint64_t skip = offset_ - segment_->start;
    const uint64_t there = std::min<uint64_t>(segment_->capacity - skip, size - offset_);
    const size_t count = std::min<uint64_t>(there, most - taken);
    out.push_back(Slice::of_shared(body_.get(), segment_->data + skip, count));
    offset_ += count;
    taken += count;
  }
  return taken;
}

std::string_view BodyReader::read_small(size_t most) noexcept {
  const uint64_t size = body_->size();
  if (offset_ >= size || size - offset_ > most) return {};
  if (offset_ < segment_->start || size - segment_->start > segment_->capacity) return {};
  const std::string_view bytes(segment_->data + (offset_ - segment_->start), size - offset_);
  offset_ = size;
  return bytes;
}

Body::Body(MemoryBudget& budget, std::optional<uint64_t> length, size_t first) noexcept
    : cost_(heap_cost(sizeof(Body) + first)), budget_(budget), length_(length) {
  first_.data = reinterpret_cast<char*>(this + 1);
  first_.capacity = first;
}

Body::~Body() {
  for (Segment* segment = first_.next; segment != nullptr;) {
    Segment* next = segment->next;
    ::operator delete(segment);
    segment = next;
  }
  budget_.release(cost());
}

size_t Body::first_capacity(std::optional<uint64_t> length) noexcept {
  return length ? std::min<uint64_t>(*length, kLargestBlock) : kSmallestBlock;
}

// A known length in large blocks; an unknown one by half of what is there, so that at most a third
// is unused.
size_t Body::next_capacity() const noexcept {
  if (length_) return std::min<uint64_t>(*length_ - written_, kLargestBlock);
  const uint64_t half = (written_ / 2 + kSmallestBlock - 1) & ~uint64_t{kSmallestBlock - 1};
  return std::clamp<uint64_t>(half, kSmallestBlock, kLargestGrowth);
}

bool Body::grow() noexcept {
  const size_t capacity = next_capacity();
  const size_t cost = heap_cost(sizeof(Segment) + capacity);
  if (!budget_.reserve(cost)) return false;
  void* storage = allocate(sizeof(Segment) + capacity);
  if (storage == nullptr) {
    budget_.release(cost);
    return false;
  }
  auto* segment = new (storage) Segment;
  segment->data = reinterpret_cast<char*>(segment + 1);
  segment->capacity = capacity;
  segment->start = written_;
  last_->next = segment;
  last_ = segment;
  cost_.store(this->cost() + cost, std::memory_order_relaxed);
  return true;
}

void Body::copy_in(std::string_view bytes) noexcept {
  if (bytes.empty()) return;
  std::memcpy(last_->data + (written_ - last_->start), bytes.data(), bytes.size());
  written_ += bytes.size();
}

// Release: who sees the length sees the bytes and the segments that hold them.
void Body::publish(State state) noexcept {
  progress_.store(written_ << kStateBits | static_cast<uint64_t>(state), std::memory_order_release);
}

}  // namespace sluice::cache
