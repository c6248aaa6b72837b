// Bump allocator for what belongs to one exchange: freed at once, never piecemeal.
//
// Owner: the exchange. Thread: its worker's. Blocks come from the worker's ChunkPool, so a steady
// request allocates nothing. Bodies never enter it. Objects made here are not destroyed by the
// arena: only trivially destructible ones may be made, or the maker destroys them itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sluice/base/chunk_pool.h"

namespace sluice {

class Arena {
 public:
  explicit Arena(ChunkPool& pool) noexcept : pool_(&pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { reset(); }

  // `align` is a power of two. Never nullptr.
  void* allocate(size_t size, size_t align = alignof(std::max_align_t)) noexcept {
    if (chunk_ == nullptr) return allocate_slow(size, align);
    size_t at = align_up(chunk_, used_, align);
    if (at > chunk_->capacity || size > chunk_->capacity - at) return allocate_slow(size, align);
    used_ = at + size;
    return chunk_->data() + at;
  }
  template <typename T>
  T* allocate_array(size_t count) noexcept {
    static_assert(std::is_trivially_destructible_v<T>);
    SL_CHECK(count <= UINT32_MAX / sizeof(T));
    return static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
  }
  template <typename T, typename... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }
  std::string_view copy(std::string_view bytes) noexcept {
    if (bytes.empty()) return {};
    char* out = static_cast<char*>(allocate(bytes.size(), 1));
    std::memcpy(out, bytes.data(), bytes.size());
    return {out, bytes.size()};
  }
  // Frees everything, keeps nothing.
  void reset() noexcept;
  ChunkPool& pool() noexcept { return *pool_; }

 private:
  static size_t align_up(Chunk* chunk, size_t offset, size_t align) noexcept {
    const uintptr_t start = reinterpret_cast<uintptr_t>(chunk->data());
    return ((start + offset + align - 1) & ~(uintptr_t{align} - 1)) - start;
  }
  void* allocate_slow(size_t size, size_t align) noexcept;

  ChunkPool* pool_;
  Chunk* chunk_ = nullptr;  // the current block; older ones hang on next_free
  size_t used_ = 0;
};

}  // namespace sluice
