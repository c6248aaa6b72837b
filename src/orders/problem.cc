#include "sluice/orders/problem.h"

#include "sluice/base/check.h"
#include "sluice/orders/reply_json.h"

namespace sluice::orders {
namespace {

constexpr ProblemRow kRows[] = {
#define SL_PROBLEM(name, word, status, title) {word, status, title},
#include "sluice/orders/problems.def"
#undef SL_PROBLEM
};

}  // namespace

const ProblemRow& problem_row(Problem problem) noexcept {
  SL_CHECK(problem < Problem::kCount);
  return kRows[static_cast<size_t>(problem)];
}

proxy::HandlerReply problem_reply(const Refusal& refusal) {
  const ProblemRow& row = problem_row(refusal.problem);
  proxy::HandlerReply reply = problem_reply(row, refusal.detail);
  const bool is_passing = row.status == 503 || row.status == 429;
  if (is_passing || refusal.problem == Problem::kInProgress) {
    // An order of the user may yet fail and make room, but not within a second.
    reply.fields.emplace_back("Retry-After", refusal.problem == Problem::kUserLimit ? "60" : "1");
  }
  return reply;
}

proxy::HandlerReply problem_reply(const ProblemRow& row, std::string_view detail) {
  return {row.status,
          {{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}},
          problem_body(row, detail)};
}

}  // namespace sluice::orders
