// Where the admin API of a sluice is, as `sluice purge --admin` takes it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::orders {

struct PurgeTarget {
  std::string path;  // of a unix socket; "": host and port
  std::string host;  // without brackets
  uint16_t port = 0;
  std::string text() const;  // as it was given
};

// http://HOST:PORT or unix:/PATH; "", or what is wrong, without a password.
std::string read_purge_target(std::string_view text, PurgeTarget* target);

}  // namespace sluice::orders
