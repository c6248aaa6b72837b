// One line an exchange, in JSON or in the combined format, into a ring that never blocks.
//
// Owner: one worker; thread: its own. Nothing is allocated: the line is composed in the ring. A
// full ring drops the line and counts it (LogRing::dropped). A line is always one line: JSON
// strings are escaped as RFC 8259 asks (bytes that are no UTF-8 become U+FFFD), combined ones with
// \xHH.
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/base/log_ring.h"
#include "sluice/base/log_writer.h"
#include "sluice/config/config.h"

namespace sluice::proxy {

// The contract's fields (docs: DESIGN "JSON access log"); views live until write() returns.
struct AccessRecord {
  WallTime ts{};                                    // when the request's head was complete
  std::string_view id, client, method, host, path;  // path: target as received
  int status = 0;           // as sent to the client; 499 when it left before a head was sent
  std::string_view reason;  // token of errors.def, "" when all went well
  uint64_t bytes_in = 0;    // request body
  uint64_t bytes_out = 0;   // response body
  Duration total{0}, connect{0}, first_byte{0}, queue{0};  // written in ms with 3 decimals
  std::string_view route, pool, endpoint;
  uint32_t attempts = 0;
  std::string_view cache;                          // later: the Cache-Status verdict
  std::string_view protocol, referer, user_agent;  // combined format only
};

class AccessLog {
 public:
  // The ring must outlive it. `writer` is woken when the ring is half full.
  AccessLog(LogRing& ring, LogWriter& writer, config::AccessLog::Format format) noexcept
      : ring_(ring), writer_(writer), format_(format) {}
  void write(const AccessRecord& record) noexcept;
  // Longest fields are cut in the line (4 KiB each), so that one record fits.
  static constexpr size_t kMaxField = 4096;

 private:
  void cache_time(int64_t second) noexcept;

  LogRing& ring_;
  LogWriter& writer_;
  config::AccessLog::Format format_;
  int64_t cached_second_ = INT64_MIN;  // "2026-01-31T12:00:00" made once a second
  size_t cached_size_ = 0;
  char cached_time_[32] = {};
};

}  // namespace sluice::proxy
