// Bodies on their way: what one side has received goes to the other, with backpressure.
//
// One relay for every combination of protocols, over the two stream interfaces. Watermarks are
// those of loop/stream.h: above kHighWatermark pending the giver is paused, below kLowWatermark it
// goes on; in between nothing changes, so that reading is not stopped and started for every chunk.
#pragma once

#include <cstdint>

#include "sluice/proxy/client_stream.h"
#include "sluice/proxy/replay_body.h"
#include "sluice/upstream/upstream_stream.h"

namespace sluice::proxy {

struct Relayed {
  uint64_t bytes = 0;
  bool ended = false;  // the end of the body was passed on with this call
};

// Client to endpoint. `replay` remembers what was sent; the caller must not call again after
// `ended`.
Relayed relay_request(ClientStream& from, upstream::UpstreamStream& to, ReplayBody& replay);
// Endpoint to client.
Relayed relay_response(upstream::UpstreamStream& from, ClientStream& to);

}  // namespace sluice::proxy
