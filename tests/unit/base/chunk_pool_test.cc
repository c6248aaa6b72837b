#include "sluice/base/chunk_pool.h"

#include <doctest/doctest.h>
#include <string.h>

#include <vector>

#include "tests/unit/base/helpers.h"

using namespace sluice;

TEST_CASE("base/chunk_pool: a returned chunk is given out again") {
  ChunkPool pool;
  Chunk* first = pool.get();
  CHECK(pool.chunks_in_use() == 1);
  CHECK(first->capacity == kChunkSize);
  memset(first->data(), 'x', first->capacity);
  ChunkPool::unref(first);
  CHECK(pool.chunks_in_use() == 0);
  CHECK(pool.chunks_free() == 1);
  Chunk* again = pool.get(1);
  CHECK(again == first);
  CHECK(again->refs == 1);
  ChunkPool::unref(again);
}

TEST_CASE("base/chunk_pool: the bytes are aligned for every type") {
  ChunkPool pool;
  Chunk* chunk = pool.get();
  CHECK(reinterpret_cast<uintptr_t>(chunk->data()) % alignof(max_align_t) == 0);
  ChunkPool::unref(chunk);
}

TEST_CASE("base/chunk_pool: a chunk lives as long as its last reference") {
  ChunkPool pool;
  Chunk* chunk = pool.get();
  ChunkPool::ref(chunk);
  ChunkPool::unref(chunk);
  CHECK(pool.chunks_in_use() == 1);
  ChunkPool::unref(chunk);
  CHECK(pool.chunks_in_use() == 0);
}

TEST_CASE("base/chunk_pool: a large chunk is made singly and not kept") {
  ChunkPool pool;
  Chunk* large = pool.get(kChunkSize + 1);
  CHECK(large->capacity == kChunkSize + 1);
  ChunkPool::unref(large);
  CHECK(pool.chunks_free() == 0);
}

TEST_CASE("base/chunk_pool: at most 256 free chunks are kept") {
  ChunkPool pool;
  std::vector<Chunk*> chunks;
  for (int i = 0; i < 300; ++i) chunks.push_back(pool.get());
  CHECK(pool.chunks_in_use() == 300);
  for (Chunk* chunk : chunks) ChunkPool::unref(chunk);
  CHECK(pool.chunks_in_use() == 0);
  CHECK(pool.chunks_free() == 256);
}

TEST_CASE("base/chunk_pool: a pool that dies before its chunks is a fault") {
  const test::Death death = test::die_in_child([] {
    ChunkPool pool;
    pool.get();
  });
  CHECK(death.signal == SIGABRT);
  CHECK(death.output.find("in_use_ == 0") != std::string::npos);
}

#if !defined(__SANITIZE_ADDRESS__)  // which finds this by itself
TEST_CASE("base/chunk_pool: with SLUICE_POISON=1 a write to a returned chunk is found") {
  const test::Death death = test::die_in_child([] {
    setenv("SLUICE_POISON", "1", 1);
    ChunkPool pool;
    Chunk* chunk = pool.get();
    ChunkPool::unref(chunk);
    SL_CHECK(static_cast<unsigned char>(chunk->data()[5]) == 0xDB);
    chunk->data()[5] = 'x';
    pool.get();
  });
  CHECK(death.signal == SIGABRT);
  CHECK(death.output.find("is_still_poisoned") != std::string::npos);
}
#endif
