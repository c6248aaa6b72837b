// Names to addresses, off the loop (getaddrinfo in libuv's pool).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/base/error.h"
#include "sluice/loop/loop.h"

namespace sluice::loop {

// A look-up under way; destroying it clears its asker (the look-up itself cannot be stopped).
class Lookup {
 public:
  virtual ~Lookup() = default;
};

// `done` is called once on the loop, not inside resolve(): all addresses, each once, in
// getaddrinfo's order, or kDnsFailed with the getaddrinfo text.
std::unique_ptr<Lookup> resolve(Loop& loop, const std::string& host, uint16_t port,
                                std::function<void(Result<std::vector<SocketAddress>>)> done);

}  // namespace sluice::loop
