#include "sluice/base/address.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using namespace sluice;

TEST_CASE("base/address: numeric addresses only, printed as they are read") {
  struct Case {
    std::string_view ip;
    const char* text;  // with port 80; nullptr: refused
  };
  for (const Case& c : {Case{"127.0.0.1", "127.0.0.1:80"},
                        {"0.0.0.0", "0.0.0.0:80"},
                        {"::1", "[::1]:80"},
                        {"2001:DB8:0::1", "[2001:db8::1]:80"},
                        {"::ffff:1.2.3.4", "1.2.3.4:80"},
                        {"", nullptr},
                        {"[::1]", nullptr},
                        {"localhost", nullptr},
                        {"127.1", nullptr},
                        {"127.0.0.01", nullptr},
                        {"1.2.3.4 ", nullptr},
                        {"::1%lo", nullptr}}) {
    CAPTURE(c.ip);
    const auto address = SocketAddress::from_ip(c.ip, 80);
    CHECK(address.has_value() == (c.text != nullptr));
    if (address && c.text != nullptr) CHECK(address->to_string() == c.text);
  }
}

TEST_CASE("base/address: equality is by family, address and port") {
  const auto a = *SocketAddress::from_ip("10.0.0.1", 80);
  CHECK(a == *SocketAddress::from_ip("10.0.0.1", 80));
  CHECK(!(a == *SocketAddress::from_ip("10.0.0.1", 81)));
  CHECK(!(a == *SocketAddress::from_ip("10.0.0.2", 80)));
  CHECK(!(a == *SocketAddress::from_ip("::ffff:10.0.0.1", 80)));
  CHECK(SocketAddress(a.raw(), a.size()) == a);
  CHECK(!SocketAddress().is_set());
  CHECK(SocketAddress().to_string() == "-");
}

TEST_CASE("base/address: a mapped IPv4 address has the sixteen bytes of the plain one") {
  CHECK(ip16(*SocketAddress::from_ip("1.2.3.4", 1)) ==
        ip16(*SocketAddress::from_ip("::ffff:1.2.3.4", 2)));
  CHECK(ip16(*SocketAddress::from_path("/run/x")) == std::array<uint8_t, 16>{});
}

TEST_CASE("base/address: unix paths, the longest too, and one without its zero") {
  const auto address = SocketAddress::from_path("/run/sluice.sock");
  REQUIRE(address);
  CHECK(address->is_unix());
  CHECK(address->to_string() == "unix:/run/sluice.sock");
  CHECK(address->port() == 0);
  CHECK(!SocketAddress::from_path(""));
  CHECK(SocketAddress::from_path(std::string(107, 'x')));
  CHECK(!SocketAddress::from_path(std::string(108, 'x')));
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  std::memset(raw.sun_path, 'y', sizeof raw.sun_path);
  const SocketAddress cut(reinterpret_cast<const sockaddr*>(&raw), sizeof raw);
  CHECK(cut.to_string() == "unix:" + std::string(107, 'y'));
}
