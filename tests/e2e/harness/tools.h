// curl and wrk, as people use them.
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/harness/process.h"

namespace e2e {

Finished curl(const std::vector<std::string>& arguments, milliseconds within = kPatience * 4);

struct Load {
  uint64_t requests = 0;
  uint64_t connect_errors = 0, read_errors = 0, write_errors = 0, timeouts = 0;
  uint64_t bad_statuses = 0;  // neither 2xx nor 3xx
  std::string text;
  uint64_t errors() const {
    return connect_errors + read_errors + write_errors + timeouts + bad_statuses;
  }
};

// wrk in the background.
class Wrk {
 public:
  Wrk(const std::string& url, int connections, seconds duration,
      const std::vector<std::string>& more = {});
  Load finish();

 private:
  seconds duration_;
  Running running_;
};

Load parse_wrk(const std::string& text);

}  // namespace e2e
