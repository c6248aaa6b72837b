// Ref<T>: one counted reference to an object that counts itself by ref() and unref().
//
// An object is made with one reference, which adopt() takes over. Thread: that of the count; with
// an atomic one a Ref may be handed from thread to thread.
#pragma once

#include <cstddef>
#include <utility>

namespace sluice {

template <typename T>
class Ref {
 public:
  Ref() noexcept = default;
  Ref(std::nullptr_t) noexcept {}  // NOLINT: implicit, as for every pointer
  // Takes a new reference.
  explicit Ref(T* object) noexcept : object_(object) {
    if (object_ != nullptr) object_->ref();
  }
  // Takes over a reference that the caller has.
  static Ref adopt(T* object) noexcept {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  Ref(const Ref& other) noexcept : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    // The analyser does not count references: to it every unref() may be the last.
    if (object_ != nullptr) object_->unref();  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  }

  T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  bool operator==(const Ref&) const noexcept = default;
  // Gives the reference to the caller, who owes an unref().
  T* release() noexcept { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

}  // namespace sluice
