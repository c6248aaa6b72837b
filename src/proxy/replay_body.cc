#include "sluice/proxy/replay_body.h"

namespace sluice::proxy {

void ReplayBody::remember(const Chain& bytes) {
  if (truncated_) return;
  if (bytes.size() > kCap - kept_.size()) return drop();
  for (size_t i = 0; i < bytes.slice_count(); ++i) kept_.push_back(bytes.slice(i));
  if (kept_.slice_count() > kMaxSlices) drop();
}

Chain ReplayBody::replay() const {
  Chain copy;
  for (size_t i = 0; i < kept_.slice_count(); ++i) copy.push_back(kept_.slice(i));
  return copy;
}

void ReplayBody::drop() noexcept {
  kept_.clear();
  truncated_ = true;
}

}  // namespace sluice::proxy
