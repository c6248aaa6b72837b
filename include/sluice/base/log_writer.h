// The one thread that writes logs: empties rings into files, stdout or stderr.
//
// Thread: its own; the other calls come from the control thread. It looks every 20 ms, or when a
// producer that found its ring half full calls wake(). A file that cannot be written costs lines
// (counted), never a stall elsewhere. A pipe or socket whose reader is stuck is waited for 200 ms,
// then its lines are lost, and for the next second they are lost at once.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/error.h"
#include "sluice/base/log_ring.h"

namespace sluice {

class LogWriter {
 public:
  LogWriter();
  ~LogWriter();  // stops
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // A sink is "stdout", "stderr" or a file's path (opened for appending, mode 0640). The same name
  // gives the same sink.
  using Sink = int;
  Result<Sink> open(const std::string& path);
  // Every ring has one sink; the ring must outlive the writer or be removed.
  void add(LogRing& ring, Sink sink);
  // Writes what the ring holds, then forgets it; its producer must have ended. Waits for the
  // writer.
  void remove(LogRing& ring);

  void start();
  // Empties every ring once more and joins. Idempotent.
  void stop();
  // Opens files anew (log rotation); asynchronous, errors are logged and the old file is kept.
  void reopen();
  // From any thread; cheap when the writer is awake already.
  void wake() noexcept;

  // From any thread: writes that failed, and lines that were lost by that or because a pipe's
  // reader did not read.
  uint64_t write_errors() const noexcept;
  uint64_t lost_lines() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice
