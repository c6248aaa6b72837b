#include "sluice/proxy/relay.h"

#include "sluice/loop/stream.h"

namespace sluice::proxy {
namespace {

// Pauses or resumes whoever feeds a stream that has `pending` bytes to write.
template <typename Giver>
void apply_watermarks(Giver& giver, size_t pending) noexcept {
  if (pending > loop::kHighWatermark) giver.pause_body();
  if (pending < loop::kLowWatermark) giver.resume_body();
}

}  // namespace

Relayed relay_request(ClientStream& from, upstream::UpstreamStream& to, ReplayBody& replay) {
  Relayed relayed;
  if (Chain& body = from.body(); !body.is_empty()) {
    relayed.bytes = body.size();
    replay.remember(body);
    to.send_body(std::move(body));
  }
  if (from.is_body_complete()) {
    to.send_end(from.trailers().size() > 0 ? &from.trailers() : nullptr);
    relayed.ended = true;
  }
  if (!relayed.ended) apply_watermarks(from, to.pending());
  return relayed;
}

Relayed relay_response(upstream::UpstreamStream& from, ClientStream& to) {
  Relayed relayed;
  if (Chain& body = from.body(); !body.is_empty()) {
    relayed.bytes = body.size();
    to.send_body(std::move(body));
  }
  if (from.is_complete()) {
    to.send_end(from.trailers().size() > 0 ? &from.trailers() : nullptr);
    relayed.ended = true;
  }
  return relayed;
}

}  // namespace sluice::proxy
