// Why a command failed: the closed list of faults.def.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::redis {

enum class Fault : uint8_t {
#define SL_REDIS_FAULT(name, ...) name,
#include "sluice/redis/faults.def"
#undef SL_REDIS_FAULT
  kCount
};

inline constexpr size_t kFaults = static_cast<size_t>(Fault::kCount);

struct FaultRow {
  std::string_view token;
  std::string_view word;
  bool weighs;
  std::string_view help;
};

const FaultRow& fault_row(Fault fault) noexcept;
// The fault that the text of an error reply stands for, by its first word.
Fault fault_of(std::string_view error) noexcept;

}  // namespace sluice::redis
