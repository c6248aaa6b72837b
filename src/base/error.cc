#include "sluice/base/error.h"

#include <cstddef>
#include <iterator>

namespace sluice {

namespace {

constexpr ErrorRow kRows[] = {
#define SL_ERROR(name, token, origin, retry, type, status, help) \
  {token, Origin::origin, RetryClass::retry, type, status, help},
#include "sluice/base/errors.def"
#undef SL_ERROR
};
static_assert(std::size(kRows) == static_cast<size_t>(Errc::kCount));

}  // namespace

const ErrorRow& error_row(Errc code) noexcept {
  SL_CHECK(code < Errc::kCount);
  return kRows[static_cast<size_t>(code)];
}

}  // namespace sluice
