#include "sluice/config/redis_url.h"

#include <cstdint>

#include "sluice/base/address.h"
#include "sluice/base/strings.h"

namespace sluice::config {

namespace {

constexpr std::string_view kRedis = "redis://";
constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kSocketDatabase = "?db=";

struct Parts {
  std::string_view wrong;  // empty: nothing
  std::string_view host;   // without brackets; of a socket its path
  uint64_t port = 6379;
  bool is_unix = false;
};

bool is_database(std::string_view text) {
  const std::optional<uint64_t> number = parse_decimal(text);
  return number && *number <= UINT32_MAX;
}

Parts socket_parts(std::string_view text) {
  Parts parts;
  parts.is_unix = true;
  parts.host = text;
  if (const size_t mark = text.rfind(kSocketDatabase); mark != std::string_view::npos) {
    parts.host = text.substr(0, mark);
    if (!is_database(text.substr(mark + kSocketDatabase.size()))) {
      parts.wrong = "the database is not a number";
    }
  }
  if (!parts.host.starts_with('/') || !SocketAddress::from_path(parts.host)) {
    parts.wrong = "the path of the socket is not absolute or too long (at most 107 bytes)";
  }
  return parts;
}

Parts parts_of(std::string_view url) {
  if (url.starts_with(kUnix)) return socket_parts(url.substr(kUnix.size()));
  Parts parts;
  if (!url.starts_with(kRedis)) {
    parts.wrong = "it begins with redis:// or unix:/";
    return parts;
  }
  url.remove_prefix(kRedis.size());
  // The last @: a password may hold one.
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  const size_t slash = url.find('/');
  if (slash != std::string_view::npos && slash + 1 < url.size() &&
      !is_database(url.substr(slash + 1))) {
    parts.wrong = "the database is not a number";
  }
  parts.host = url.substr(0, slash);
  if (const size_t colon = parts.host.rfind(':');
      colon != std::string_view::npos && !parts.host.ends_with(']')) {
    parts.port = parse_decimal(parts.host.substr(colon + 1)).value_or(0);
    parts.host = parts.host.substr(0, colon);
    if (parts.port == 0 || parts.port > UINT16_MAX) parts.wrong = "the port is none of 1 to 65535";
  }
  if (parts.host.starts_with('[') && parts.host.ends_with(']')) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  }
  if (parts.host.empty()) parts.wrong = "there is no host in it";
  return parts;
}

}  // namespace

Fault check_redis_url(std::string_view url) {
  if (url.starts_with("rediss://")) {
    return {"bad_value", "TLS to Redis (rediss://) is not supported", "use redis:// or unix:/PATH"};
  }
  const Parts parts = parts_of(url);
  if (parts.wrong.empty()) return {};
  return {"bad_value",
          "not a Redis URL: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH[?db=N]",
          std::string(parts.wrong)};
}

std::string redis_server(std::string_view url) {
  const Parts parts = parts_of(url);
  if (parts.is_unix) return std::string(parts.host);
  const bool is_v6 = parts.host.find(':') != std::string_view::npos;
  const std::string host = lower(parts.host);
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(parts.port);
}

// A login without a colon is a password.
std::string masked(std::string_view url) {
  const size_t at = url.rfind('@');
  if (!url.starts_with(kRedis) || at == std::string_view::npos) return std::string(url);
  const size_t colon = url.find(':', kRedis.size());
  const size_t shown = colon < at ? colon + 1 : kRedis.size();
  return std::string(url.substr(0, shown)) + "***" + std::string(url.substr(at));
}

}  // namespace sluice::config
