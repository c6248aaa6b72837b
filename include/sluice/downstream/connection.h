// One client connection as its listener sees it: something to drain, to close, and to count.
//
// Owner: itself, through the listener's list; it buries itself when closed. Thread: its worker's.
#pragma once

#include "sluice/base/close_reason.h"
#include "sluice/base/list.h"
#include "sluice/loop/loop.h"

namespace sluice::downstream {

class Connection : public ListNode<Connection>, public loop::Buried {
 public:
  // No further request: an idle connection closes now, a busy one after its answer, which says
  // Connection: close when its head was not sent yet.
  virtual void drain() noexcept = 0;
  // Closes now, whatever is under way.
  virtual void close_now(CloseReason reason) noexcept = 0;
};

}  // namespace sluice::downstream
