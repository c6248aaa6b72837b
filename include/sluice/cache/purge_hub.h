// Where every purge of this process goes through, and those of other hosts come in.
//
// Owner: the engine. Thread: purge() any; everything else control. A purge is in force in this
// process when purge() returns; with a shared tier it is then written to every server of it, which
// tell the other hosts. A server that is away gets what it missed when it is back.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "sluice/base/arena.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/purge.h"
#include "sluice/loop/loop.h"

namespace sluice::cache {

class PurgeHub {
 public:
  PurgeHub(loop::Loop& control, Cache& cache) : loop_(control), cache_(cache) {}
  PurgeHub(const PurgeHub&) = delete;
  PurgeHub& operator=(const PurgeHub&) = delete;

  // Any thread; how many entries of the memory tier it named.
  size_t purge(const PurgeOrder& order, Arena& arena);

 private:
  [[maybe_unused]] loop::Loop& loop_;
  Cache& cache_;
};

}  // namespace sluice::cache
