// Where a PostgreSQL is and how to enter it, read from a URL. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::orders {

struct PgAddress {
  std::vector<std::pair<std::string, std::string>> options;  // as libpq names them
  std::string host;      // a name that has to be looked up; "": none
  std::string password;  // "" when the URL has none; for keeping it out of logs
  std::string text;      // for people: postgres://shop@db:5432/shop, never with the password
  std::string isolation = "read committed";
  size_t connections = 4;
};

struct PgUrl {
  PgAddress address;
  std::string problem;  // "": it is one. Never shows the URL, a password may stand in it
};

//   postgres://[user[:password]@][host[:port]][/database][?option=value&...]
// as libpq reads it (PostgreSQL 15, 34.1.1.2), for one host; host=/path is a unix socket. Two
// options are ours: isolation=read-committed|repeatable-read|serializable and connections=1..64.
PgUrl parse_pg_url(std::string_view url);

bool is_pg_url(std::string_view url) noexcept;

}  // namespace sluice::orders
