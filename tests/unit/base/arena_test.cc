#include "sluice/base/arena.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using namespace sluice;

TEST_CASE("base/arena: pieces are aligned, apart and keep what was written") {
  ChunkPool pool;
  Arena arena(pool);
  CHECK(arena.copy("abc") == "abc");
  for (size_t align : {1u, 2u, 8u, 16u, 64u, 4096u}) {
    CAPTURE(align);
    void* piece = arena.allocate(3, align);
    CHECK(reinterpret_cast<uintptr_t>(piece) % align == 0);
    std::memset(piece, 0xff, 3);
  }
  struct Point {
    int x, y;
  };
  auto* point = arena.make<Point>(1, 2);
  auto* numbers = arena.allocate_array<uint64_t>(10);
  for (int i = 0; i < 10; ++i) numbers[i] = ~0ULL;
  CHECK(point->x == 1);
  CHECK(point->y == 2);
}

TEST_CASE("base/arena: an empty arena holds no chunk, and reset gives all back") {
  ChunkPool pool;
  Arena arena(pool);
  CHECK(arena.copy("").empty());
  CHECK(pool.chunks_in_use() == 0);
  for (int i = 0; i < 100; ++i) std::memset(arena.allocate(1000), 'x', 1000);
  CHECK(pool.chunks_in_use() == 7);
  arena.reset();
  CHECK(pool.chunks_in_use() == 0);
  arena.allocate(1);
  CHECK(pool.chunks_in_use() == 1);
}

TEST_CASE("base/arena: a piece larger than a chunk gets its own block and leaves the current one") {
  ChunkPool pool;
  Arena arena(pool);
  char* before = static_cast<char*>(arena.allocate(8, 1));
  std::memset(arena.allocate(100'000), 'x', 100'000);
  char* after = static_cast<char*>(arena.allocate(8, 1));
  CHECK(after == before + 8);
  CHECK(pool.chunks_in_use() == 2);
}

TEST_CASE("base/arena: the first piece may be large, and a piece may fill a chunk exactly") {
  for (size_t size : {kChunkSize - 1, kChunkSize, kChunkSize + 1, 3 * kChunkSize}) {
    ChunkPool pool;
    Arena arena(pool);
    CAPTURE(size);
    std::memset(arena.allocate(size), 'x', size);
    std::memset(arena.allocate(size, 1), 'y', size);
    CHECK(arena.copy(std::string(100, 'z')) == std::string(100, 'z'));
  }
}
