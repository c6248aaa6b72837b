// Storage of one size, kept for reuse instead of going back to malloc: for objects that come and go
// with each request.
//
// Owner and thread: one worker. Keeps at most kKeep blocks.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "sluice/base/check.h"

namespace sluice {

template <typename T>
class FreeList {
 public:
  FreeList() noexcept = default;
  FreeList(const FreeList&) = delete;
  FreeList& operator=(const FreeList&) = delete;
  ~FreeList() {
    while (free_ != nullptr) ::operator delete(std::exchange(free_, free_->next));
  }

  template <typename... Args>
  T* make(Args&&... args) {
    void* storage = free_ != nullptr ? take() : ::operator new(sizeof(Block));
    return new (storage) T(std::forward<Args>(args)...);
  }
  void destroy(T* object) noexcept {
    object->~T();
    if (kept_ == kKeep) return ::operator delete(static_cast<void*>(object));
    ++kept_;
    free_ = new (object) Free{free_};
  }

 private:
  struct Free {
    Free* next;
  };
  union Block {
    Free free;
    alignas(T) std::byte object[sizeof(T)];
  };
  static constexpr size_t kKeep = 1024;

  void* take() noexcept {
    --kept_;
    return std::exchange(free_, free_->next);
  }

  Free* free_ = nullptr;
  size_t kept_ = 0;
};

}  // namespace sluice
