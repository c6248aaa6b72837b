#include "sluice/base/chunk_pool.h"

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define SL_FORBID(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define SL_ALLOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define SL_FORBID(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define SL_ALLOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#endif
#endif
#ifndef SL_FORBID
#define SL_FORBID(at, size) static_cast<void>(0)
#define SL_ALLOW(at, size) static_cast<void>(0)
#endif

namespace sluice {

namespace {

constexpr size_t kMostFree = 256;  // 4 MiB
constexpr unsigned char kPoison = 0xDB;

bool is_poison_wanted() noexcept {
  const char* value = std::getenv("SLUICE_POISON");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

// Finds a write into a chunk that was returned before.
bool is_still_poisoned(Chunk* chunk) noexcept {
  for (size_t i = 0; i < chunk->capacity; ++i) {
    if (static_cast<unsigned char>(chunk->data()[i]) != kPoison) return false;
  }
  return true;
}

Chunk* make_chunk(ChunkPool* pool, size_t capacity) noexcept {
  SL_CHECK(capacity <= UINT32_MAX);
  void* memory = std::malloc(sizeof(Chunk) + capacity);
  SL_CHECK(memory != nullptr);  // there is nothing sensible to do without memory
  return new (memory) Chunk{pool, nullptr, 1, static_cast<uint32_t>(capacity)};
}

}  // namespace

ChunkPool::ChunkPool() noexcept : poison_(is_poison_wanted()) {}

ChunkPool::~ChunkPool() {
  SL_CHECK(in_use_ == 0);
  while (free_ != nullptr) {
    Chunk* chunk = free_;
    free_ = chunk->next_free;
    SL_ALLOW(chunk->data(), chunk->capacity);
    std::free(chunk);
  }
}

Chunk* ChunkPool::get(size_t size) noexcept {
  ++in_use_;
  if (size > kChunkSize) return make_chunk(this, size);
  if (free_ == nullptr) return make_chunk(this, kChunkSize);
  Chunk* chunk = free_;
  free_ = chunk->next_free;
  --free_count_;
  SL_ALLOW(chunk->data(), chunk->capacity);
  SL_CHECK(chunk->refs == 0);
  if (poison_) SL_CHECK(is_still_poisoned(chunk));
  chunk->next_free = nullptr;
  chunk->refs = 1;
  return chunk;
}

void ChunkPool::put_back(Chunk* chunk) noexcept {
  SL_CHECK(in_use_ > 0);
  --in_use_;
  if (poison_) std::memset(chunk->data(), kPoison, chunk->capacity);
  if (chunk->capacity != kChunkSize || free_count_ >= kMostFree) {
    std::free(chunk);
    return;
  }
  SL_FORBID(chunk->data(), chunk->capacity);
  chunk->next_free = free_;
  free_ = chunk;
  ++free_count_;
}

}  // namespace sluice
