// Addresses as text: blocks, what is bound, where endpoints are.
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "sluice/base/strings.h"
#include "sluice/config/config.h"

namespace sluice::config {

namespace {

constexpr uint8_t kMappedBits = 96;
constexpr std::array<uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool same_prefix(const uint8_t* a, const uint8_t* b, unsigned bits) noexcept {
  const unsigned whole = bits / 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((a[whole] ^ b[whole]) & mask) == 0;
}

bool host_bits_are_zero(const std::array<uint8_t, 16>& bytes, unsigned prefix) noexcept {
  for (unsigned bit = prefix; bit < 128; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

std::string host_port(const std::string& host, uint16_t port) {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace

bool Cidr::contains(std::span<const uint8_t, 16> address) const noexcept {
  return same_prefix(bytes.data(), address.data(), prefix);
}

bool Cidr::contains_v4(std::span<const uint8_t, 4> address) const noexcept {
  std::array<uint8_t, 16> mapped{};
  std::ranges::copy(kMappedPrefix, mapped.begin());
  std::ranges::copy(address, mapped.begin() + kMappedPrefix.size());
  return contains(mapped);
}

std::string Cidr::text() const {
  char out[INET6_ADDRSTRLEN] = "";
  const unsigned bits = is_v4 ? prefix - kMappedBits : prefix;
  if (is_v4) {
    inet_ntop(AF_INET, bytes.data() + kMappedPrefix.size(), out, sizeof out);
  } else {
    inet_ntop(AF_INET6, bytes.data(), out, sizeof out);
  }
  if (bits == (is_v4 ? 32U : 128U)) return out;
  return std::string(out) + "/" + std::to_string(bits);
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Cidr cidr;
  cidr.is_v4 = host.find(':') == std::string::npos;
  uint8_t* bytes = cidr.bytes.data();
  if (cidr.is_v4) {
    std::ranges::copy(kMappedPrefix, cidr.bytes.begin());
    if (inet_pton(AF_INET, host.c_str(), bytes + kMappedPrefix.size()) != 1) return std::nullopt;
  } else if (inet_pton(AF_INET6, host.c_str(), bytes) != 1) {
    return std::nullopt;
  }
  if (slash != std::string_view::npos) {
    const std::optional<uint64_t> bits = parse_decimal(text.substr(slash + 1));
    if (!bits || *bits > (cidr.is_v4 ? 32 : 128)) return std::nullopt;
    cidr.prefix = static_cast<uint8_t>(*bits + (cidr.is_v4 ? kMappedBits : 0));
  }
  if (!host_bits_are_zero(cidr.bytes, cidr.prefix)) return std::nullopt;
  return cidr;
}

std::string BindAddress::text() const {
  switch (kind) {
    case Kind::kTcp:
      return host_port(host, port);
    case Kind::kUnix:
      return "unix:" + path;
    case Kind::kSystemd:
      return "systemd:" + path;
  }
  return {};
}

std::string EndpointAddress::text() const {
  return kind == Kind::kUnix ? "unix:" + path : host_port(host, port);
}

}  // namespace sluice::config
