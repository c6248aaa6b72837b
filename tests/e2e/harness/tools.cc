#include "tests/e2e/harness/tools.h"

#include <cstdio>
#include <cstdlib>

namespace e2e {

Finished curl(const std::vector<std::string>& arguments, milliseconds within) {
  std::vector<std::string> all = {"curl", "-sS", "--noproxy", "*"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run(all, within);
}

namespace {

std::vector<std::string> wrk_arguments(const std::string& url, int connections, seconds duration,
                                       const std::vector<std::string>& more) {
  std::vector<std::string> all = {"wrk",       "-t1",
                                  "-c",        std::to_string(connections),
                                  "-d",        std::to_string(duration.count()) + "s",
                                  "--timeout", "8s"};
  all.insert(all.end(), more.begin(), more.end());
  all.push_back(url);
  return all;
}

uint64_t number_after(const std::string& text, const std::string& mark) {
  const size_t at = text.find(mark);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + mark.size(), nullptr, 10);
}

}  // namespace

Wrk::Wrk(const std::string& url, int connections, seconds duration,
         const std::vector<std::string>& more)
    : duration_(duration), running_(wrk_arguments(url, connections, duration, more)) {}

Load Wrk::finish() {
  const Finished finished = running_.finish(duration_ + kPatience * 2);
  if (finished.exit_code != 0) throw Failure("wrk: " + finished.out + finished.err);
  return parse_wrk(finished.out);
}

Load parse_wrk(const std::string& text) {
  Load load;
  load.text = text;
  if (const size_t at = text.find(" requests in "); at != std::string::npos) {
    const size_t begin = text.rfind('\n', at) + 1;
    load.requests = std::strtoull(text.c_str() + begin, nullptr, 10);
  }
  load.connect_errors = number_after(text, "Socket errors: connect ");
  load.read_errors = number_after(text, ", read ");
  load.write_errors = number_after(text, ", write ");
  load.timeouts = number_after(text, ", timeout ");
  load.bad_statuses = number_after(text, "Non-2xx or 3xx responses: ");
  return load;
}

}  // namespace e2e
