// A socket address (IPv4, IPv6 or unix path) as a value: parse, print, compare, hash.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

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

// An address range such as 10.0.0.0/8; a bare address is a range of one.
struct Cidr {
  uint8_t bytes[16] = {};  // network order; IPv4 in the first four
  int family = 0;          // AF_INET or AF_INET6
  int prefix = 0;

  static std::optional<Cidr> parse(std::string_view text) noexcept;
  bool contains(const SocketAddress& address) const noexcept;  // IPv4-mapped IPv6 counts as IPv4
};

}  // namespace sluice
