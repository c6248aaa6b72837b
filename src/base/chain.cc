#include "sluice/base/chain.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace sluice {

namespace {

// Bytes and owner in one heap block would save an allocation; copy_of is not for the fast path.
class CopiedBytes final : public SharedBytes {
 public:
  explicit CopiedBytes(std::string_view bytes) : bytes_(bytes) {}
  const char* data() const noexcept { return bytes_.data(); }

 private:
  std::string bytes_;
};

// An emptied chain keeps a heap array up to this many slots for the next burst.
constexpr uint32_t kMostKeptSlots = 64;

}  // namespace

// Slice
// --------------------------------------------------------------------------------------------

Slice Slice::copy_of(std::string_view bytes) {
  if (bytes.empty()) return {};
  auto* copy = new CopiedBytes(bytes);
  return Slice(copy->data(), bytes.size(), reinterpret_cast<uintptr_t>(copy) | kSharedTag);
}

bool Slice::try_join(const Slice& next) noexcept {
  if (owner_ == 0 || owner_ != next.owner_ || data_ + size_ != next.data_) return false;
  size_ += next.size_;
  return true;
}

bool Slice::try_extend(std::string_view bytes) noexcept {
  if (owner_ == 0 || (owner_ & kSharedTag) != 0) return false;
  auto* chunk = reinterpret_cast<Chunk*>(owner_);
  const size_t end = static_cast<size_t>(data_ - chunk->data()) + size_;
  if (chunk->refs != 1 || bytes.size() > chunk->capacity - end) return false;
  std::memcpy(chunk->data() + end, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

void Slice::slide_to(const char* to) noexcept {
  if (owner_ == 0 || (owner_ & kSharedTag) != 0) return;
  auto* chunk = reinterpret_cast<Chunk*>(owner_);
  SL_CHECK(to >= chunk->data() && to <= data_);
  char* target = chunk->data() + (to - chunk->data());
  std::memmove(target, data_, size_);
  data_ = target;
}

// Chain
// --------------------------------------------------------------------------------------------

namespace {

Slice* new_slots(uint32_t count) {
  return static_cast<Slice*>(::operator new(sizeof(Slice) * count));
}

// From the first on, so that `to` may lie below `from`.
void relocate(Slice* from, uint32_t count, Slice* to) noexcept {
  for (uint32_t i = 0; i < count; ++i) {
    new (&to[i]) Slice(std::move(from[i]));
    from[i].~Slice();
  }
}

}  // namespace

Chain& Chain::operator=(Chain&& other) noexcept {
  if (this != &other) {
    clear();
    take(other);
  }
  return *this;
}

// This chain is empty and without a heap array.
void Chain::take(Chain& other) noexcept {
  begin_ = std::exchange(other.begin_, 0);
  end_ = std::exchange(other.end_, 0);
  bytes_ = std::exchange(other.bytes_, 0);
  if (other.heap_ != nullptr) {
    heap_ = std::exchange(other.heap_, nullptr);
    capacity_ = std::exchange(other.capacity_, kInline);
  } else {
    relocate(other.inline_ + begin_, end_ - begin_, inline_ + begin_);
  }
}

void Chain::clear() noexcept {
  std::destroy(slots() + begin_, slots() + end_);
  if (heap_ != nullptr) ::operator delete(std::exchange(heap_, nullptr));
  capacity_ = kInline;
  begin_ = end_ = 0;
  bytes_ = 0;
}

void Chain::on_last_slice_gone() noexcept {
  SL_CHECK(bytes_ == 0);
  begin_ = end_ = 0;
  if (capacity_ > kMostKeptSlots) clear();
}

void Chain::push_back(Slice slice) {
  if (slice.is_empty()) return;
  bytes_ += slice.size();
  if (end_ > begin_ && slots()[end_ - 1].try_join(slice)) return;
  if (end_ == capacity_) grow();
  new (&slots()[end_++]) Slice(std::move(slice));
}

// Makes room at the end: by moving down when half is free at the front, else by doubling. Either
// way a slot is moved at most once for each push, on average.
void Chain::grow() {
  const uint32_t count = end_ - begin_;
  if (begin_ >= capacity_ / 2) {
    relocate(slots() + begin_, count, slots());
  } else {
    Slice* larger = new_slots(capacity_ * 2);
    relocate(slots() + begin_, count, larger);
    ::operator delete(heap_);
    heap_ = larger;
    capacity_ *= 2;
  }
  begin_ = 0;
  end_ = count;
}

void Chain::append(Chain&& tail) {
  SL_CHECK(this != &tail);
  if (is_empty()) {
    *this = std::move(tail);
    return;
  }
  for (uint32_t i = tail.begin_; i < tail.end_; ++i) push_back(std::move(tail.slots()[i]));
  tail.clear();
}

Slice Chain::pop_front() noexcept {
  SL_CHECK(!is_empty());
  Slice& slot = slots()[begin_++];
  Slice front = std::move(slot);
  slot.~Slice();  // NOLINT(bugprone-use-after-move): nothing of it is used
  bytes_ -= front.size();
  if (begin_ == end_) on_last_slice_gone();
  return front;
}

void Chain::consume(size_t bytes) noexcept {
  SL_CHECK(bytes <= bytes_);
  if (bytes == bytes_ && heap_ == nullptr) return clear();  // most often
  while (bytes > 0) {
    Slice& front = slots()[begin_];
    if (bytes < front.size()) {
      front.remove_prefix(bytes);
      bytes_ -= bytes;
      return;
    }
    bytes -= front.size();
    pop_front();
  }
}

Chain Chain::split_front(size_t bytes) {
  SL_CHECK(bytes <= bytes_);
  Chain front;
  if (bytes == bytes_) {
    front = std::move(*this);
    return front;
  }
  while (bytes > 0) {
    Slice& first = slots()[begin_];
    if (bytes < first.size()) {
      front.push_back(first.sub(0, bytes));
      first.remove_prefix(bytes);
      bytes_ -= bytes;
      return front;
    }
    bytes -= first.size();
    front.push_back(pop_front());
  }
  return front;
}

size_t Chain::fill_iovecs(iovec* out, size_t most) const noexcept {
  const size_t count = std::min(most, slice_count());
  for (size_t i = 0; i < count; ++i) {
    // iovec serves reading too and so is not const; writing only reads it.
    out[i] = {const_cast<char*>(slice(i).data()), slice(i).size()};
  }
  return count;
}

size_t Chain::copy_to(char* out, size_t most) const noexcept {
  size_t copied = 0;
  for (size_t i = 0; i < slice_count() && copied < most; ++i) {
    const size_t n = std::min(slice(i).size(), most - copied);
    std::memcpy(out + copied, slice(i).data(), n);
    copied += n;
  }
  return copied;
}

std::string Chain::to_string() const {
  std::string text(bytes_, '\0');
  copy_to(text.data(), text.size());
  return text;
}

// ChainWriter
// --------------------------------------------------------------------------------------

ChainWriter::~ChainWriter() {
  flush();
  if (chunk_ != nullptr) ChunkPool::unref(chunk_);
}

void ChainWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (chunk_ == nullptr || used_ == chunk_->capacity) reserve(1);
    const size_t n = std::min(bytes.size(), chunk_->capacity - used_);
    std::memcpy(chunk_->data() + used_, bytes.data(), n);
    used_ += n;
    bytes.remove_prefix(n);
  }
}

char* ChainWriter::reserve(size_t size) {
  if (chunk_ == nullptr || size > chunk_->capacity - used_) {
    flush();
    if (chunk_ != nullptr) ChunkPool::unref(chunk_);
    chunk_ = pool_.get(std::max(size, kChunkSize));
    start_ = used_ = 0;
  }
  return chunk_->data() + used_;
}

void ChainWriter::commit(size_t used) noexcept {
  SL_CHECK(chunk_ != nullptr && used <= chunk_->capacity - used_);
  used_ += used;
}

void ChainWriter::flush() {
  if (chunk_ == nullptr || used_ == start_) return;
  out_.push_back(Slice::of_chunk(chunk_, chunk_->data() + start_, used_ - start_));
  start_ = used_;
}

}  // namespace sluice
