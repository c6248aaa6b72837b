#include "sluice/cache/purge_hub.h"

namespace sluice::cache {

size_t PurgeHub::purge(const PurgeOrder& order, Arena& arena) {
  return purge_memory(cache_.store, cache_.secret, order, arena);
}

}  // namespace sluice::cache
