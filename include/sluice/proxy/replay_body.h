// The bytes of a request body that were sent already, kept for one more try, up to a cap.
//
// Shares the chunks of the slices it is shown (no copy). Owner: the exchange. A slice of one byte
// holds a whole chunk, so the number of slices is capped too.
#pragma once

#include "sluice/base/chain.h"

namespace sluice::proxy {

class ReplayBody {
 public:
  static constexpr size_t kCap = 64 * 1024;
  static constexpr size_t kMaxSlices = 64;

  // Remembers a copy of `bytes`' slices; beyond a cap everything is let go and stays so.
  void remember(const Chain& bytes);
  // False once more than a cap was seen.
  bool is_replayable() const noexcept { return !truncated_; }
  // The bytes so far, to be sent again; they stay remembered.
  Chain replay() const;
  // No retry can come any more: lets go of the bytes. Not replayable from then on.
  void drop() noexcept;

 private:
  Chain kept_;
  bool truncated_ = false;
};

}  // namespace sluice::proxy
