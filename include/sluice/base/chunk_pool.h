// Pool of byte chunks with plain (not atomic) reference counts.
//
// Owner: one worker's loop. Thread: that worker's only, also for every Chunk reference. Lifetime:
// the pool must outlive its chunks; a destroyed pool checks that none is left.
// Chunks are kChunkSize bytes from free lists; larger ones (a big head) are made and freed singly.
// At most 256 free chunks (4 MiB) are kept. SLUICE_POISON=1 in the environment fills returned
// chunks with 0xDB and checks that they are unchanged when they are given out again; under ASan the
// bytes of a free chunk may not be touched at all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sluice/base/check.h"

namespace sluice {

inline constexpr size_t kChunkSize = 16 * 1024;

class ChunkPool;

// Aligned so that the bytes behind it are aligned for every type.
struct alignas(16) Chunk {
  ChunkPool* pool;
  Chunk* next_free;
  uint32_t refs;
  uint32_t capacity;
  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

class ChunkPool {
 public:
  ChunkPool() noexcept;
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // A chunk with at least `size` bytes and one reference, which the caller owes an unref().
  Chunk* get(size_t size = kChunkSize) noexcept;

  static void ref(Chunk* chunk) noexcept { ++chunk->refs; }
  static void unref(Chunk* chunk) noexcept {
    SL_CHECK(chunk->refs > 0);
    if (--chunk->refs == 0) chunk->pool->put_back(chunk);
  }

  size_t chunks_in_use() const noexcept { return in_use_; }
  size_t chunks_free() const noexcept { return free_count_; }

 private:
  void put_back(Chunk* chunk) noexcept;

  Chunk* free_ = nullptr;
  size_t free_count_ = 0;
  size_t in_use_ = 0;
  bool poison_;
};

}  // namespace sluice
