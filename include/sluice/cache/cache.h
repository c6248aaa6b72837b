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
  Cache(const MemoryStore::Limits& limits, std::string_view secret_text, uint32_t workers)
      : store(limits), flights(workers), secret(secret_text) {}

  MemoryStore store;
  Flights flights;
  Markers markers;
  HashSecret secret;  // the same on all hosts that share a tier; set before anything is stored
};

}  // namespace sluice::cache
