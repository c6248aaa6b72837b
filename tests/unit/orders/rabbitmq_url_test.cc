#include "sluice/orders/rabbitmq/amqp_url.h"

#include <doctest/doctest.h>

using namespace sluice::orders;

TEST_CASE("orders/amqp_url: parts are percent-decoded, and / is the default vhost (AMQP URI)") {
  struct Case {
    const char* url;
    const char *user, *password, *host;
    uint16_t port;
    const char *vhost, *text;
  };
  constexpr Case kCases[] = {
      {"amqp://mq", "guest", "guest", "mq", 5672, "/", "amqp://guest@mq:5672/"},
      {"amqp://mq/", "guest", "guest", "mq", 5672, "/", "amqp://guest@mq:5672/"},
      {"amqp://mq/%2f", "guest", "guest", "mq", 5672, "/", "amqp://guest@mq:5672/"},
      {"amqp://shop:s3cret@mq:5673/shop", "shop", "s3cret", "mq", 5673, "shop",
       "amqp://shop@mq:5673/shop"},
      {"amqp://user%61:%61pass@ho%61st:10000/v%2fhost", "usera", "apass", "hoast", 10000, "v/host",
       "amqp://usera@hoast:10000/v%2Fhost"},
      {"amqp://shop:@127.0.0.1", "shop", "", "127.0.0.1", 5672, "/", "amqp://shop@127.0.0.1:5672/"},
      {"amqp://shop@[::1]", "shop", "guest", "::1", 5672, "/", "amqp://shop@[::1]:5672/"},
      {"amqp://a%40b:c%3Ad%2F@[fe80::1]:1/x%40y", "a@b", "c:d/", "fe80::1", 1, "x@y",
       "amqp://a%40b@[fe80::1]:1/x%40y"},
  };
  for (const Case& each : kCases) {
    CAPTURE(each.url);
    const AmqpUrl parsed = parse_amqp_url(each.url);
    CHECK(parsed.problem == "");
    CHECK(parsed.address.user == each.user);
    CHECK(parsed.address.password == each.password);
    CHECK(parsed.address.host == each.host);
    CHECK(parsed.address.port == each.port);
    CHECK(parsed.address.vhost == each.vhost);
    CHECK(parsed.address.text == each.text);
  }
}

TEST_CASE("orders/amqp_url: shards, prefetch and heartbeat are options") {
  const AmqpUrl parsed = parse_amqp_url("amqp://mq/v?shards=16&prefetch=200&heartbeat=30");
  CHECK(parsed.problem == "");
  CHECK(parsed.address.shards == 16);
  CHECK(parsed.address.prefetch == 200);
  CHECK(parsed.address.heartbeat == std::chrono::seconds(30));
  CHECK(parse_amqp_url("amqp://mq?shards=1").address.shards == 1);
}

TEST_CASE("orders/amqp_url: what is wrong is said without showing the URL") {
  const std::string longest(255, 'v');
  CHECK(parse_amqp_url("amqp://mq/" + longest).problem == "");
  const std::string bad[] = {
      "amqps://shop:s3cret@mq/v",
      "http://shop:s3cret@mq/v",
      "amqp:shop:s3cret@mq",
      "amqp://",
      "amqp:///v",
      "amqp://shop:s3cret@",
      "amqp://shop:s3cret@:5672",
      "amqp://:s3cret@mq",
      "amqp://shop:s3cret@mq:",
      "amqp://shop:s3cret@mq:0",
      "amqp://shop:s3cret@mq:65536",
      "amqp://shop:s3cret@mq:+5",
      "amqp://shop:s3cret@mq:5672:1",
      "amqp://shop:s3c/ret@mq",
      "amqp://shop:5672/s3cret@mq",
      "amqp://shop:s3c@s3cret@mq",
      "amqp://shop:s3c:s3cret@mq",
      "amqp://shop:s3cret%zz@mq",
      "amqp://shop:s3cret%4@mq",
      "amqp://shop:s3cret%00@mq",
      "amqp://shop:s3cret x@mq",
      "amqp://shop:s3cret\xC3\xA9@mq",
      "amqp://shop:5672?s3cret@mq",
      "amqp://shop:5672#s3cret@mq",
      "amqp://shop:s3cret@[::1",
      "amqp://shop:s3cret@[::1]x:5",
      "amqp://shop:s3cret@[mq]",
      "amqp://shop:s3cret@m%20q",
      "amqp://shop:s3cret@mq/a/b",
      "amqp://shop:s3cret@mq/" + longest + "v",
      "amqp://shop:s3cret@mq?",
      "amqp://shop:s3cret@mq?shards",
      "amqp://shop:s3cret@mq?shards=0",
      "amqp://shop:s3cret@mq?shards=65",
      "amqp://shop:s3cret@mq?shards=s3cret",
      "amqp://shop:s3cret@mq?prefetch=1001",
      "amqp://shop:s3cret@mq?heartbeat=0",
      "amqp://shop:s3cret@mq?heartbeat=61",
      "amqp://shop:s3cret@mq?s3cret=1",
  };
  for (const std::string& url : bad) {
    CAPTURE(url);
    const AmqpUrl parsed = parse_amqp_url(url);
    CHECK(parsed.problem != "");
    CHECK(parsed.problem.find("s3cret") == std::string::npos);
    CHECK(parsed.address.text == "");
  }
}
