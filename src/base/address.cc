#include "sluice/base/address.h"

#include <arpa/inet.h>

#include <cstddef>
#include <cstring>

namespace sluice {
namespace {

// The address's bytes with an IPv4-mapped IPv6 address taken as IPv4 (RFC 4291 section 2.5.5.2).
struct IpBytes {
  const uint8_t* bytes = nullptr;
  int family = AF_UNSPEC;
};

IpBytes ip_bytes(const sockaddr* address) noexcept {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return {reinterpret_cast<const uint8_t*>(&v4->sin_addr), AF_INET};
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&v6->sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return {bytes + 12, AF_INET};
    return {bytes, AF_INET6};
  }
  return {};
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size) noexcept : SocketAddress() {
  // The last byte stays zero: the kernel may fill sun_path without one.
  std::memcpy(&unix_, address, size < kCapacity ? size : kCapacity - 1);
}

std::optional<SocketAddress> SocketAddress::from_ip(std::string_view ip, uint16_t port) noexcept {
  char text[INET6_ADDRSTRLEN];
  if (ip.empty() || ip.size() >= sizeof text) return std::nullopt;
  std::memcpy(text, ip.data(), ip.size());
  text[ip.size()] = '\0';
  SocketAddress address;
  if (inet_pton(AF_INET, text, &address.v4_.sin_addr) == 1) {
    address.v4_.sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, text, &address.v6_.sin6_addr) == 1) {
    address.v6_.sin6_family = AF_INET6;
  } else {
    return std::nullopt;
  }
  address.set_port(port);
  return address;
}

std::optional<SocketAddress> SocketAddress::from_path(std::string_view path) noexcept {
  SocketAddress address;
  if (path.empty() || path.size() >= sizeof address.unix_.sun_path) return std::nullopt;
  address.unix_.sun_family = AF_UNIX;
  std::memcpy(address.unix_.sun_path, path.data(), path.size());
  return address;
}

uint16_t SocketAddress::port() const noexcept {
  if (family() == AF_INET) return ntohs(v4_.sin_port);
  if (family() == AF_INET6) return ntohs(v6_.sin6_port);
  return 0;
}

void SocketAddress::set_port(uint16_t port) noexcept {
  if (family() == AF_INET) v4_.sin_port = htons(port);
  if (family() == AF_INET6) v6_.sin6_port = htons(port);
}

socklen_t SocketAddress::size() const noexcept {
  switch (family()) {
    case AF_INET:
      return sizeof(sockaddr_in);
    case AF_INET6:
      return sizeof(sockaddr_in6);
    case AF_UNIX:
      return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(unix_.sun_path) + 1);
    default:
      return 0;
  }
}

std::string SocketAddress::ip() const {
  IpBytes ip = ip_bytes(&any_);
  if (ip.bytes == nullptr) return "unix:";
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(ip.family, ip.bytes, text, sizeof text);
  return text;
}

std::string SocketAddress::to_string() const {
  if (is_unix()) return "unix:" + std::string(unix_.sun_path);
  if (!is_set()) return "-";
  std::string host = ip();
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return host + ":" + std::to_string(port());
}

bool SocketAddress::operator==(const SocketAddress& other) const noexcept {
  if (family() != other.family()) return false;
  if (is_unix()) return strcmp(unix_.sun_path, other.unix_.sun_path) == 0;
  if (family() == AF_INET) {
    return v4_.sin_addr.s_addr == other.v4_.sin_addr.s_addr && v4_.sin_port == other.v4_.sin_port;
  }
  if (family() == AF_INET6) {
    return memcmp(&v6_.sin6_addr, &other.v6_.sin6_addr, sizeof v6_.sin6_addr) == 0 &&
           v6_.sin6_port == other.v6_.sin6_port && v6_.sin6_scope_id == other.v6_.sin6_scope_id;
  }
  return true;
}

std::array<uint8_t, 16> ip16(const SocketAddress& address) noexcept {
  std::array<uint8_t, 16> out{};
  IpBytes ip = ip_bytes(address.raw());
  if (ip.family == AF_INET6) std::memcpy(out.data(), ip.bytes, 16);
  if (ip.family == AF_INET) {
    out[10] = out[11] = 0xFF;
    std::memcpy(out.data() + 12, ip.bytes, 4);
  }
  return out;
}

}  // namespace sluice
