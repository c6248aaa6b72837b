// Where all threads' lines go: the one writer, a ring for diagnostics a thread, a ring for the
// access log a worker.
//
// Owner: control; made before the threads and destroyed after them, so that nothing is lost at the
// end. Thread: control, but open_access() and retire() may block and run on any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sluice/base/log_ring.h"
#include "sluice/base/log_writer.h"
#include "sluice/config/config.h"
#include "sluice/proxy/access_log.h"

namespace sluice::server {

// A worker's access log and the ring under it.
struct AccessOutput {
  static constexpr size_t kRing = 512 * 1024;
  AccessOutput(LogWriter& writer, config::AccessLog::Format format)
      : ring(kRing), log(ring, writer, format) {}
  LogRing ring;
  proxy::AccessLog log;
};
using AccessOutputs = std::vector<std::unique_ptr<AccessOutput>>;

// One of the two; no outputs and no problem: the access log is off.
struct OpenedAccess {
  AccessOutputs outputs;
  std::string problem;
};

class Logs {
 public:
  explicit Logs(uint32_t workers);  // the writer runs from now on
  ~Logs();                          // the last lines are written; no thread uses a ring any more
  Logs(const Logs&) = delete;
  Logs& operator=(const Logs&) = delete;

  // Worker 0, 1, ...; the control thread is behind the last worker.
  LogRing& diagnostics(uint32_t thread) noexcept { return *diagnostics_[thread]; }
  LogWriter& writer() noexcept { return writer_; }

  // One output for each worker.
  OpenedAccess open_access(const config::AccessLog& configured);
  // Writes what the rings hold and forgets them; no worker may use them any more.
  void retire(AccessOutputs& outputs);

  // Lines lost so far in full rings and by sinks that did not take them.
  uint64_t dropped(const AccessOutputs& present) const noexcept;

 private:
  uint32_t workers_;
  LogWriter writer_;
  std::vector<std::unique_ptr<LogRing>> diagnostics_;
  std::atomic<uint64_t> dropped_before_{0};  // by rings that were retired
};

}  // namespace sluice::server
