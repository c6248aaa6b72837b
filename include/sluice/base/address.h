// A socket address (IPv4, IPv6 or unix path) as a value: parse, print, compare, hash.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

class SocketAddress {
 public:
  SocketAddress() noexcept = default;  // family AF_UNSPEC
  SocketAddress(const sockaddr* address, socklen_t size) noexcept;

  // A numeric IPv4 or IPv6 address (no brackets, no names); nullopt otherwise.
  static std::optional<SocketAddress> from_ip(std::string_view ip, uint16_t port) noexcept;
  // nullopt when the path does not fit into sun_path.
  static std::optional<SocketAddress> from_path(std::string_view path) noexcept;

  int family() const noexcept { return any_.sa_family; }
  bool is_unix() const noexcept { return family() == AF_UNIX; }
  bool is_set() const noexcept { return family() != AF_UNSPEC; }
  uint16_t port() const noexcept;
  void set_port(uint16_t port) noexcept;
  const sockaddr* raw() const noexcept { return &any_; }
  sockaddr* raw() noexcept { return &any_; }
  socklen_t size() const noexcept;
  static constexpr socklen_t kCapacity = sizeof(sockaddr_un);

  // "127.0.0.1", "::1" or "unix:"; an IPv4-mapped IPv6 address is shown as IPv4.
  std::string ip() const;
  // "127.0.0.1:80", "[::1]:80", "unix:/path".
  std::string to_string() const;
  bool operator==(const SocketAddress& other) const noexcept;

 private:
  union {
    sockaddr any_;
    sockaddr_in v4_;
    sockaddr_in6 v6_;
    sockaddr_un unix_{};
  };
};

// The sixteen bytes of an address, IPv4 as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2); all zero
// for a unix socket.
std::array<uint8_t, 16> ip16(const SocketAddress& address) noexcept;

}  // namespace sluice
