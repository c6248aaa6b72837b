// Names for new orders: UUID version 7 (RFC 9562 section 5.7), so that they cannot be guessed, and
// grow with time, which keeps the database's index on them compact.
#pragma once

#include <string>

#include "sluice/base/clock.h"

namespace sluice::orders {

// Thread: any.
std::string make_order_id(WallTime now);

}  // namespace sluice::orders
