// What `make demo` runs, and what its screen tells to try.
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

// A port that was free a moment ago; who takes it meanwhile makes the demo fail with a clear word.
uint16_t free_port() {
  SimpleOrigin origin;
  return origin.port();
}

// The folder of this repository.
std::string root() { return program("SLUICE_ROOT"); }

// The admin API answers to nobody who names another host.
Message admin(uint16_t port, const std::string& path) {
  Wire wire = Wire::to_port(port);
  wire.send("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  return wire.read_response();
}

class Demo {
 public:
  Demo() {
    REQUIRE(eventually([this] { return is_ready(); }, kPatience * 4));
  }
  ~Demo() {
    process_.signal(SIGTERM);
    CHECK(process_.wait(kPatience * 4) == 0);
    CHECK_FALSE(std::filesystem::exists(folder_));
  }

  uint16_t port() const { return port_; }
  std::string redis_url() const { return "unix:" + folder_ + "/redis.sock"; }
  std::string endpoint_port(const std::string& name) {
    const Json all = Json::parse(admin(admin_port_, "/api/v1/status").body);
    for (const Json& endpoint : all.at("pools").at(0).at("endpoints")) {
      const std::string address = endpoint.at("address");
      if (endpoint.at("name") == name) return address.substr(address.rfind(':') + 1);
    }
    throw Failure("no endpoint " + name);
  }

 private:
  bool is_ready() {
    const std::string out = read_file(dir_.path("out"));
    if (process_.poll_exit()) throw Failure("the demo ended: " + read_file(dir_.path("err")) + out);
    const std::string mark = "access log: ";
    const size_t at = out.find(mark);
    if (at == std::string::npos || out.find("Ctrl-C ends everything") == std::string::npos) {
      return false;
    }
    const std::string log = out.substr(at + mark.size(), out.find('\n', at) - at - mark.size());
    folder_ = std::filesystem::path(log).parent_path();
    return true;
  }

  TempDir dir_;
  uint16_t port_ = free_port(), admin_port_ = free_port();
  std::string folder_;
  Process process_{{"bash", root() + "/scripts/demo.sh"},
                   dir_.path("out"),
                   dir_.path("err"),
                   {{"PORT", std::to_string(port_)}, {"ADMIN_PORT", std::to_string(admin_port_)}}};
};

// Another edge host: the demo's own file, on other ports.
class SecondHost {
 public:
  explicit SecondHost(Demo& demo)
      : process_({program("SLUICE"), "serve", "-c", root() + "/conf/demo.yaml"}, dir_.path("out"),
                 dir_.path("err"),
                 {{"PORT", std::to_string(port_)},
                  {"ADMIN_PORT", std::to_string(admin_port_)},
                  {"REDIS_URL", demo.redis_url()},
                  {"ORDERS_A", demo.endpoint_port("a")},
                  {"ORDERS_B", demo.endpoint_port("b")},
                  {"ORDERS_C", demo.endpoint_port("c")}}) {
    REQUIRE(eventually([this] {
      try {
        // Serving is not all: it is connected to the Redis of the first one as well.
        const Message status = admin(admin_port_, "/api/v1/status");
        return status.status == 200 && Json::parse(status.body).at("cache").at("redis") == "up";
      } catch (const Failure&) {
        return false;
      }
    }));
  }
  ~SecondHost() {
    process_.signal(SIGTERM);
    CHECK(process_.wait(kPatience) == 0);
  }
  uint16_t port() const { return port_; }

 private:
  TempDir dir_;
  uint16_t port_ = free_port(), admin_port_ = free_port();
  Process process_;
};

bool is_from(const Message& answer, const std::string& tier) {
  const std::string status = answer.field("Cache-Status");
  return status.starts_with("sluice; hit") && status.ends_with("detail=" + tier);
}

// Both hosts are asked for the same thing: the same URL, and so the same Host.
Message products(uint16_t port) {
  Wire wire = Wire::to_port(port);
  wire.send("GET /products HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
  return wire.read_response();
}

int stock_of(const Message& answer, const std::string& product) {
  const Json all = Json::parse(answer.body);
  for (const Json& each : all.at("products")) {
    if (each.at("id") == product) return each.at("stock");
  }
  return -1;
}

int order(uint16_t port, const std::string& key, int quantity, const std::string& product) {
  const std::string body = R"({"user_id": "u1", "items": [{"product_id": ")" + product +
                           R"(", "quantity": )" + std::to_string(quantity) + "}]}";
  Wire wire = Wire::to_port(port);
  wire.send(
      "POST /orders HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n"
      "Content-Type: application/json\r\nIdempotency-Key: " +
      key + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  return wire.read_response("POST").status;
}

}  // namespace

TEST_CASE(
    "e2e/demo: a miss, a hit with Age, a second sluice hits at once; sold out is told to both") {
  Demo demo;
  const Message miss = products(demo.port());
  CHECK(miss.status == 200);
  CHECK(miss.field("Cache-Status") == "sluice; fwd=uri-miss; stored");
  const Message hit = products(demo.port());
  CHECK(is_from(hit, "memory"));
  CHECK(hit.has("Age"));
  CHECK(hit.body == miss.body);

  SecondHost second(demo);
  CHECK(is_from(products(second.port()), "redis"));
  CHECK(is_from(products(second.port()), "memory"));

  const std::string product = Json::parse(miss.body).at("products").at(0).at("id");
  int left = stock_of(miss, product);
  REQUIRE(left > 0);
  for (int number = 0; left > 0; ++number) {
    const int quantity = std::min(left, 100);
    left -= quantity;
    CHECK(order(demo.port(), "key-" + std::to_string(number), quantity, product) == 201);
  }
  // It may be served for 6 s after it was fetched; a purge takes it away before that.
  for (const uint16_t port : {demo.port(), second.port()}) {
    Message now;
    REQUIRE(eventually([&] {
      now = products(port);
      return stock_of(now, product) == 0;
    }));
    CHECK(now.field("Cache-Status").find("fwd=stale") == std::string::npos);
  }
  CHECK(order(demo.port(), "one-more", 1, product) == 409);
  // The demo's worker ships what was sold.
  CHECK(eventually([&] {
    Wire wire = Wire::to_port(demo.port());
    wire.send("GET /status HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    const Json status = Json::parse(wire.read_response().body);
    return status.at("orders").at("shipped") > 0 && status.at("queue_depth") == 0;
  }));
}
