// The configuration checks Redis URLs without the module that uses them: both have to agree.
#include "sluice/config/redis_url.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/base/strings.h"
#include "sluice/redis/address.h"

namespace sluice::server {

namespace {

// As redis::Address shows it, in lower case where case makes no difference.
std::string server_of(const redis::Address& address) {
  return address.is_unix() ? address.path : lower(address.to_string());
}

void check_agreement(const std::string& url) {
  CAPTURE(url);
  const auto address = redis::parse_address(url);
  const config::Fault fault = config::check_redis_url(url);
  REQUIRE(!fault == bool(address));
  if (address) CHECK(config::redis_server(url) == server_of(*address));
}

}  // namespace

TEST_CASE("server/redis_url: config takes just the URLs that redis::parse_address takes") {
  const std::string fits(107 - 1, 'x'), too_long(108 - 1, 'x');
  const std::vector<std::string> urls = {
      "redis://h",
      "redis://h/",
      "redis://H:7000/3",
      "redis://[::1]",
      "redis://[::1]:1/2",
      "redis://::1",
      "redis://:secret@h",
      "redis://secret@h",
      "redis://u:p@h:1",
      "redis://u:p@q@h",
      "redis://u:a/b@h/1",
      "redis://%75:%2f%40%3A%@h",
      "redis://u:%zz%4@h",
      "redis://h:6379",
      "redis://h:06379",
      "redis://h/0",
      "redis://h/007",
      "redis://h/4294967295",
      "redis://h/4294967296",
      "redis://h/-1",
      "redis://h/1/2",
      "redis://h/x",
      "redis://h/1?x",
      "redis://h:0",
      "redis://h:65535",
      "redis://h:65536",
      "redis://h:",
      "redis://h:x",
      "redis://h:1x",
      "redis://:6379",
      "redis://",
      "redis:///1",
      "redis://@",
      "redis://u:p@",
      "redis://@h",
      "redis://[]",
      "redis://[",
      "redis://]",
      "redis://[]:1",
      "redis://[h",
      "redis://h]",
      "redis://h]:1",
      "redis://h\n",
      "redis://\x01",
      "redis://a b",
      "REDIS://h",
      "redis:/h",
      "rediss://h",
      "rediss://",
      "http://h",
      "h",
      "h:6379",
      "",
      "unix:",
      "unix:/",
      "unix:/s",
      "unix:run/redis.sock",
      "unix:///s",
      "UNIX:/s",
      "unix:/s?db=7",
      "unix:/s?db=",
      "unix:/s?db=x",
      "unix:/s?db=4294967296",
      "unix:/s?db=1?db=2",
      "unix:/s?db=x?db=2",
      "unix:/s?x=1",
      "unix:?db=1",
      "unix:/" + fits,
      "unix:/" + too_long,
      "unix:/" + fits + "?db=1",
      "unix:/s\n",
      std::string("unix:/a\0b", 9),
  };
  for (const std::string& url : urls) check_agreement(url);
}

TEST_CASE("server/redis_url: config and redis agree on random URLs too") {
  static constexpr const char* kPieces[] = {"redis://", "unix:", "/",    ":",  "@",
                                            "[",        "]",     "?db=", "h",  "::1",
                                            "1",        "65536", "0",    "%4", "x"};
  Random random(7);
  for (int i = 0; i < 100'000; ++i) {
    std::string url = random.below(8) == 0 ? "" : kPieces[random.below(2)];
    for (uint64_t n = random.below(8); n > 0; --n) url += kPieces[random.below(std::size(kPieces))];
    check_agreement(url);
  }
}

}  // namespace sluice::server
