// One published configuration: immutable, with a generation number, shared by all workers until the
// last exchange that began under it has ended.
//
// Made by the reload (or start), owned by shared_ptr: a worker holds one reference and counts its
// exchanges in a plain integer; pointers into it are good as long as the worker holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sluice/config/config.h"

namespace sluice::config {

// What a route asks of a request, as bits: the router looks at nothing that nobody asks for.
enum Asks : uint8_t {
  kAsksNothing = 0,
  kAsksPath = 1,
  kAsksHost = 2,
  kAsksMethod = 4,
  kAsksHeaders = 8
};

// Match is kept ready to compare (lower-case host and field names, suffix with its dot); here
// stands which of its parts have to be looked at.
struct CompiledRoute {
  const Route* route = nullptr;  // into Snapshot::config.routes
  const Pool* pool = nullptr;    // nullptr unless Route::Action::kPool
  uint32_t index = 0;            // into Snapshot::config.routes
  uint8_t asks = kAsksNothing;   // Asks; cheapest first: path, method, host, headers

  bool asks_for(Asks what) const noexcept { return (asks & what) != 0; }
};

class Snapshot {
 public:
  Snapshot(Config config, uint64_t generation);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  const Config config;
  const uint64_t generation;  // 1 for the first, one more each reload that worked

  const std::vector<Route>& routes() const noexcept { return config.routes; }
  // In listed order: the first that matches wins.
  const std::vector<CompiledRoute>& compiled() const noexcept { return compiled_; }
  // What any route asks for.
  bool any_asks_for(Asks what) const noexcept { return (asks_ & what) != 0; }

 private:
  std::vector<CompiledRoute> compiled_;
  uint8_t asks_ = kAsksNothing;
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

SnapshotPtr make_snapshot(Config config, uint64_t generation);

}  // namespace sluice::config
