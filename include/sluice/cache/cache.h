// The cache of a process: what all its workers share.
//
// Owner: the engine; it outlives the workers and all that they hold of it. Thread: any.
#pragma once

#include <string>

#include "sluice/cache/flight.h"
#include "sluice/cache/markers.h"
#include "sluice/cache/store_memory.h"

namespace sluice::cache {

struct Cache {
  // `secret_text`: the same on all hosts that share a tier.
  Cache(const MemoryStore::Limits& limits, std::string_view secret_text, uint32_t workers)
      : store(limits), flights(workers), secret(secret_text) {}

  MemoryStore store;
  Flights flights;
  Markers markers;
  const HashSecret secret;
};

}  // namespace sluice::cache
