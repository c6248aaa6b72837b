#include "sluice/orders/purge/purge_target.h"

#include <algorithm>

#include <fmt/format.h>

#include "sluice/base/address.h"
#include "sluice/base/strings.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kUnix = "unix:", kHttp = "http://";

bool is_host_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

std::string read_host(std::string_view text, PurgeTarget* target) {
  std::string wrong = "give http://HOST:PORT or unix:/PATH, where that sluice has its admin API";
  if (text.find('@') != std::string_view::npos) {
    return "the admin API knows no password: give http://HOST:PORT";
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view host = text.substr(0, colon);
  const auto port = parse_decimal(text.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535) return wrong;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!SocketAddress::from_ip(host, 0)) return wrong;
  } else if (host.empty() || host.size() > 253 || !std::ranges::all_of(host, is_host_char)) {
    return wrong;
  }
  target->host = host;
  target->port = static_cast<uint16_t>(*port);
  return {};
}

}  // namespace

std::string PurgeTarget::text() const {
  if (!path.empty()) return fmt::format("{}{}", kUnix, path);
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("{}[{}]:{}", kHttp, host, port)
               : fmt::format("{}{}:{}", kHttp, host, port);
}

std::string read_purge_target(std::string_view text, PurgeTarget* target) {
  *target = {};
  if (!text.starts_with(kUnix)) {
    return read_host(text.starts_with(kHttp) ? text.substr(kHttp.size()) : "", target);
  }
  target->path = text.substr(kUnix.size());
  if (target->path.empty()) return "unix: names no file";
  return SocketAddress::from_path(target->path) ? "" : "the path is too long for a socket";
}

}  // namespace sluice::orders
