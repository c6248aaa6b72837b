// What the order API refuses and how it says so (RFC 9457 problem details). The only place of this
// program that chooses an error status.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/proxy/handler.h"

namespace sluice::orders {

enum class Problem : uint8_t {
#define SL_PROBLEM(name, ...) name,
#include "sluice/orders/problems.def"
#undef SL_PROBLEM
  kCount
};

struct ProblemRow {
  std::string_view word;
  int status;
  std::string_view title;
};

const ProblemRow& problem_row(Problem problem) noexcept;

// A problem and what is to be said about this one.
struct Refusal {
  Problem problem = Problem::kMalformed;
  std::string detail;
};

// A value, or why there is none.
template <typename T>
struct Checked {
  T value{};
  bool is_refused = false;
  Refusal refusal;

  Checked(T v) : value(std::move(v)) {}                            // NOLINT: implicit
  Checked(Refusal r) : is_refused(true), refusal(std::move(r)) {}  // NOLINT: implicit
  explicit operator bool() const noexcept { return !is_refused; }
};

// With Retry-After on 429, 503 and in_progress.
proxy::HandlerReply problem_reply(const Refusal& refusal);
// One that is not in the table.
proxy::HandlerReply problem_reply(const ProblemRow& row, std::string_view detail);

}  // namespace sluice::orders
