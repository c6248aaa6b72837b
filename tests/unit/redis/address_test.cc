#include "sluice/redis/address.h"

#include <doctest/doctest.h>

namespace sluice::redis {
namespace {

TEST_CASE("redis/address: the forms of a URL") {
  struct Case {
    const char* url;
    const char* shown;
    const char* user;
    const char* password;
    uint32_t database;
  };
  const Case cases[] = {
      {"redis://h", "h:6379", "", "", 0},
      {"redis://h/", "h:6379", "", "", 0},
      {"redis://127.0.0.1:7000/3", "127.0.0.1:7000", "", "", 3},
      {"redis://[::1]", "[::1]:6379", "", "", 0},
      {"redis://[::1]:1/2", "[::1]:1", "", "", 2},
      {"redis://:secret@h", "h:6379", "", "secret", 0},
      {"redis://secret@h", "h:6379", "", "secret", 0},
      {"redis://u:p@h:1", "h:1", "u", "p", 0},
      {"redis://u:p:q@h", "h:6379", "u", "p:q", 0},
      {"redis://u:p@q@h", "h:6379", "u", "p@q", 0},
      {"redis://u:a/b@h/1", "h:6379", "u", "a/b", 1},
      {"redis://%75:%2f%40%3A%@h", "h:6379", "u", "/@:%", 0},
      {"redis://u:%zz%4@h", "h:6379", "u", "%zz%4", 0},
      {"unix:/run/redis.sock", "unix:/run/redis.sock", "", "", 0},
      {"unix:/run/redis.sock?db=7", "unix:/run/redis.sock", "", "", 7},
  };
  for (const Case& c : cases) {
    CAPTURE(c.url);
    const auto address = parse_address(c.url);
    REQUIRE(address);
    CHECK(address->to_string() == c.shown);
    CHECK(address->user == c.user);
    CHECK(address->password == c.password);
    CHECK(address->database == c.database);
  }
}

TEST_CASE("redis/address: what is no URL of a Redis") {
  const std::string long_path = "unix:/" + std::string(200, 'x');
  for (const char* url :
       {"", "h:6379", "http://h", "rediss://h", "redis://", "redis://:6379", "redis://h:0",
        "redis://h:65536", "redis://h:x", "redis://h/x", "redis://h/4294967296", "redis://u:p@",
        "redis://[]", "unix:", "unix:run/redis.sock", "unix:/s?db=", "unix:/s?db=x",
        long_path.c_str()}) {
    CAPTURE(url);
    CHECK_FALSE(parse_address(url));
  }
}

}  // namespace
}  // namespace sluice::redis
