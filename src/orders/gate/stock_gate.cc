#include "sluice/orders/gate/stock_gate.h"

#include <unistd.h>

#include <fmt/format.h>

#include "gated_store.h"
#include "returning_store.h"
#include "sluice/orders/order_id.h"
#include "sluice/redis/address.h"

namespace sluice::orders {

// A URL that is wrong may hold a password all the same.
std::string stock_url_problem(const std::string& url) {
  if (url.empty() || redis::parse_address(url)) return {};
  return "this is not redis://[USER:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH";
}

std::string stock_text(const std::string& url) {
  if (url.empty()) return {};
  return ", stock gate " + redis::parse_address(url)->to_string();
}

std::unique_ptr<ShopStore> make_gated_store(loop::Loop& loop, std::unique_ptr<ShopStore> below,
                                            const GateOptions& options, const std::string& owner) {
  // Names may be alike, and processes too, on two hosts.
  const std::string unique = fmt::format("{}/{}", owner, make_order_id(wall_now()));
  return std::make_unique<GatedStore>(loop, std::move(below), options, unique);
}

std::unique_ptr<ShopStore> make_returning_store(loop::Loop& loop, std::unique_ptr<ShopStore> below,
                                                const std::string& url) {
  return std::make_unique<ReturningStore>(loop, std::move(below), *redis::parse_address(url));
}

}  // namespace sluice::orders
