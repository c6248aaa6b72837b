#include "sluice/redis/fault.h"

namespace sluice::redis {
namespace {

constexpr FaultRow kRows[] = {
#define SL_REDIS_FAULT(name, token, word, weighs, help) {token, word, weighs, help},
#include "sluice/redis/faults.def"
#undef SL_REDIS_FAULT
};

}  // namespace

const FaultRow& fault_row(Fault fault) noexcept { return kRows[static_cast<size_t>(fault)]; }

Fault fault_of(std::string_view error) noexcept {
  const std::string_view word = error.substr(0, error.find(' '));
  for (size_t i = 0; i < kFaults && !word.empty(); ++i) {
    if (kRows[i].word == word) return static_cast<Fault>(i);
  }
  return Fault::kOther;
}

}  // namespace sluice::redis
