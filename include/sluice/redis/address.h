// Where a Redis server listens and how to enter it, read from a URL. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/base/error.h"

namespace sluice::redis {

struct Address {
  std::string host;  // a name or a numeric address, without brackets
  uint16_t port = 6379;
  std::string path;  // of a unix socket; then host and port mean nothing
  std::string user;
  std::string password;  // empty: no AUTH
  uint32_t database = 0;

  bool is_unix() const noexcept { return !path.empty(); }
  // For logs and status: no user, no password.
  std::string to_string() const;
};

//   redis://[[user]:password@]host[:port][/db]    unix:/path[?db=N]
// User and password may be percent-encoded; a % without two digits behind it stands for itself. The
// last @ ends them, so that a password may hold one; alone, without a colon, it is the password.
Result<Address> parse_address(std::string_view url);

}  // namespace sluice::redis
