#include "sluice/admin/api.h"
namespace sluice::admin {
std::string_view dashboard_html() noexcept { return ""; }
}  // namespace sluice::admin
