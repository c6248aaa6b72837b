// Byte sequences without copies: Slice (one span and what keeps it alive) and Chain (a queue of
// them).
//
// A Slice's bytes live in a pool Chunk (worker-local reference), in a SharedBytes (immutable,
// atomic reference, so the same bytes can go out on several workers), or are static. Thread: the
// worker's.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "sluice/base/chunk_pool.h"

namespace sluice {

// Immutable bytes that several threads may hold. Derive to add meaning (a cached body's segment).
class SharedBytes {
 public:
  SharedBytes() noexcept = default;
  SharedBytes(const SharedBytes&) = delete;
  SharedBytes& operator=(const SharedBytes&) = delete;
  void ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void unref() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  virtual ~SharedBytes() = default;

 private:
  std::atomic<uint32_t> refs_{1};
};

class Slice {
 public:
  Slice() noexcept = default;
  // Static bytes: the caller promises that they live for ever.
  static Slice from_static(std::string_view bytes) noexcept {
    return Slice(bytes.data(), bytes.size(), 0);
  }
  // Takes a new reference to `chunk`.
  static Slice of_chunk(Chunk* chunk, const char* data, size_t size) noexcept {
    ChunkPool::ref(chunk);
    return Slice(data, size, reinterpret_cast<uintptr_t>(chunk));
  }
  // Takes a new reference to `shared`.
  static Slice of_shared(SharedBytes* shared, const char* data, size_t size) noexcept {
    shared->ref();
    return Slice(data, size, reinterpret_cast<uintptr_t>(shared) | kSharedTag);
  }
  // A copy of `bytes` in a heap block of its own; for text made now and then, not per request.
  static Slice copy_of(std::string_view bytes);

  Slice(const Slice& other) noexcept
      : data_(other.data_), size_(other.size_), owner_(other.owner_) {
    take_ref();
  }
  Slice(Slice&& other) noexcept
      : data_(other.data_),
        size_(std::exchange(other.size_, 0)),
        owner_(std::exchange(other.owner_, 0)) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Slice() { drop_ref(); }

  const char* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  bool is_empty() const noexcept { return size_ == 0; }
  std::string_view view() const noexcept { return {data_, size_}; }

  void remove_prefix(size_t n) noexcept {
    SL_CHECK(n <= size_);
    data_ += n;
    size_ -= n;
  }
  // Extends this slice by `next` if both have one owner and `next` begins where this ends.
  bool try_join(const Slice& next) noexcept;
  // Copies `bytes` right behind this slice, if nobody else holds its pool chunk and there is room.
  bool try_extend(std::string_view bytes) noexcept;
  // Moves the bytes down to `to`, before them in the same pool chunk; what lay between must be
  // read by nobody any more. Does nothing when they do not lie in a pool chunk.
  void slide_to(const char* to) noexcept;
  // A second slice on part of the same bytes.
  Slice sub(size_t offset, size_t count) const noexcept {
    SL_CHECK(offset <= size_ && count <= size_ - offset);
    Slice part(*this);
    part.data_ += offset;
    part.size_ = count;
    return part;
  }

 private:
  static constexpr uintptr_t kSharedTag = 1;
  Slice(const char* data, size_t size, uintptr_t owner) noexcept
      : data_(data), size_(size), owner_(owner) {}
  void take_ref() noexcept {
    if (owner_ == 0) return;
    if ((owner_ & kSharedTag) == 0) {
      ChunkPool::ref(reinterpret_cast<Chunk*>(owner_));
    } else {
      reinterpret_cast<SharedBytes*>(owner_ & ~kSharedTag)->ref();
    }
  }
  void drop_ref() noexcept {
    if (owner_ == 0) return;
    if ((owner_ & kSharedTag) == 0) {
      ChunkPool::unref(reinterpret_cast<Chunk*>(owner_));
    } else {
      reinterpret_cast<SharedBytes*>(owner_ & ~kSharedTag)->unref();
    }
  }

  const char* data_ = nullptr;
  size_t size_ = 0;
  uintptr_t owner_ = 0;
};

// A queue of slices. The first kInline stand in the object; more go to the heap, which only a body
// behind a slow reader reaches. Empty slices are not queued; a slice which continues the last one
// in the same chunk or shared block is joined to it (unchanged field lines leave as one span).
class Chain {
 public:
  Chain() noexcept {}  // NOLINT: slots are made when they are used
  Chain(Chain&& other) noexcept { take(other); }
  Chain& operator=(Chain&& other) noexcept;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() {
    if (end_ > begin_ || heap_ != nullptr) clear();
  }

  size_t size() const noexcept { return bytes_; }  // bytes
  bool is_empty() const noexcept { return bytes_ == 0; }
  size_t slice_count() const noexcept { return end_ - begin_; }
  const Slice& slice(size_t index) const noexcept { return slots()[begin_ + index]; }

  void push_back(Slice slice);
  void append(Chain&& tail);
  // Copies a few bytes to where the last slice ends, so that they need no slice of their own; false
  // when that one cannot take them.
  bool try_append_copy(std::string_view bytes) noexcept {
    if (end_ == begin_ || !slots()[end_ - 1].try_extend(bytes)) return false;
    bytes_ += bytes.size();
    return true;
  }
  void consume(size_t bytes) noexcept;  // drops bytes from the front
  Slice pop_front() noexcept;           // the first slice; the chain must not be empty
  Chain split_front(size_t bytes);      // moves the first `bytes` into the result
  void clear() noexcept;

  // Fills at most `most` iovecs from the front and returns how many.
  size_t fill_iovecs(iovec* out, size_t most) const noexcept;
  // Copies up to `most` bytes from the front; returns how many.
  size_t copy_to(char* out, size_t most) const noexcept;
  std::string to_string() const;

 private:
  static constexpr uint32_t kInline = 4;
  Slice* slots() noexcept { return heap_ != nullptr ? heap_ : inline_; }
  const Slice* slots() const noexcept { return heap_ != nullptr ? heap_ : inline_; }
  void grow();
  void take(Chain& other) noexcept;
  void on_last_slice_gone() noexcept;

  // Of the slots, [begin_, end_) are made.
  union {
    Slice inline_[kInline];
  };
  Slice* heap_ = nullptr;
  uint32_t capacity_ = kInline;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  size_t bytes_ = 0;
};

// Builds bytes into pool chunks and appends them to a Chain; for heads and text that we write.
// Bytes written are contiguous as long as they fit in what is left of one chunk.
class ChainWriter {
 public:
  ChainWriter(ChunkPool& pool, Chain& out) noexcept : pool_(pool), out_(out) {}
  ChainWriter(const ChainWriter&) = delete;
  ChainWriter& operator=(const ChainWriter&) = delete;
  ~ChainWriter();  // flushes

  void write(std::string_view bytes);
  void write(char byte) { write(std::string_view(&byte, 1)); }
  // Contiguous room for `size` bytes, of which commit() says how many were used. No write()
  // between.
  char* reserve(size_t size);
  void commit(size_t used) noexcept;
  void flush();

 private:
  ChunkPool& pool_;
  Chain& out_;
  Chunk* chunk_ = nullptr;
  size_t start_ = 0;
  size_t used_ = 0;
};

}  // namespace sluice
