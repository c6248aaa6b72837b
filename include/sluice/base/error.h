// Errors and results: 16 bytes, no heap, no exceptions.
//
// An Error says what happened (code), whose fault it was (origin), and what a retry may hope for.
// Every code has a token which stands in the access log, the metrics and Proxy-Status; the table is
// errors.def. Which HTTP status an Error becomes is decided in proxy/local_reply.cc only.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "sluice/base/check.h"

namespace sluice {

enum class Errc : uint8_t {
#define SL_ERROR(name, ...) name,
#include "sluice/base/errors.def"
#undef SL_ERROR
  kCount
};

enum class Origin : uint8_t { downstream, upstream, internal };
enum class RetryClass : uint8_t { never, if_reused, always };

struct ErrorRow {
  std::string_view token;
  Origin origin;
  RetryClass retry;
  std::string_view proxy_status_type;  // RFC 9209 section 2.3
  int status;                          // read by proxy/local_reply.cc only
  std::string_view help;
};

// The row of a code. Never fails.
const ErrorRow& error_row(Errc code) noexcept;

class [[nodiscard]] Error {
 public:
  constexpr Error() noexcept = default;
  // `text` must have static storage: it is a detail for people ("bare LF in a field line").
  constexpr Error(Errc code, const char* text = "", int sys = 0) noexcept  // NOLINT: implicit
      : text_(text), sys_(sys), code_(code) {}

  Errc code() const noexcept { return code_; }
  int sys() const noexcept { return sys_; }
  const char* text() const noexcept { return text_; }
  std::string_view token() const noexcept { return error_row(code_).token; }
  Origin origin() const noexcept { return error_row(code_).origin; }
  RetryClass retry() const noexcept { return error_row(code_).retry; }
  explicit operator bool() const noexcept { return code_ != Errc::kNone; }

 private:
  const char* text_ = "";
  int sys_ = 0;
  Errc code_ = Errc::kNone;
};
static_assert(sizeof(Error) == 16);

struct Ok {};

// A value or an Error; spelled like std::expected so that it can become one.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, error) {}         // NOLINT: implicit
  Result(Errc code) : state_(std::in_place_index<1>, Error(code)) {}     // NOLINT: implicit

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T& value() & noexcept {
    SL_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& noexcept {
    SL_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && noexcept {
    SL_CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & noexcept { return value(); }
  const T& operator*() const& noexcept { return value(); }
  T&& operator*() && noexcept { return std::move(*this).value(); }
  T* operator->() noexcept { return &value(); }
  const T* operator->() const noexcept { return &value(); }
  Error error() const noexcept { return has_value() ? Error() : *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<Ok>;

}  // namespace sluice

// SL_TRY(auto x, f()): x is f()'s value, or this function returns f()'s error.
#define SL_TRY_CONCAT_(a, b) a##b
#define SL_TRY_NAME_(a, b) SL_TRY_CONCAT_(a, b)
#define SL_TRY(declaration, expression) \
  SL_TRY_(declaration, expression, SL_TRY_NAME_(sl_try_, __LINE__))
#define SL_TRY_(declaration, expression, name) \
  auto name = (expression);                    \
  if (!name) return name.error();              \
  declaration = *std::move(name)
