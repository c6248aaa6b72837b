// A request that waits for a place goes on when there is one, whatever made it: not only the end of
// another request.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kQueue = R"(
workers: @workers
pools:
  app:
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: @health
    max_in_flight: @most
    queue: {size: 10, timeout: 5s}
)";

// Well before queue.timeout.
constexpr milliseconds kPromptly{2000};

// Endpoint a holds the first request that it gets until the test is over; all else is answered.
struct Site {
  explicit Site(const std::string& health = "{type: off}") {
    b.set_health(503);
    values = {{"a", a.address()},
              {"b", b.address()},
              {"health", health},
              {"most", "1"},
              {"workers", "2"}};
    sluice = std::make_unique<Sluice>(kQueue, values);
  }
  ~Site() { is_over.open(); }

  // One request is at endpoint a, which has no other place, and one waits.
  void fill_and_wait() {
    first = Wire::to_port(sluice->port());
    first.send(request_text("/held"));
    REQUIRE(eventually([&] { return is_held.is_open(); }));
    second = Wire::to_port(sluice->port());
    second.send(request_text());
    sluice->wait_for_value("sluice_queue_waits_total", "", 1);
    CHECK_FALSE(second.is_readable(milliseconds(50)));
  }
  void expect_answer_from(const std::string& name) {
    REQUIRE(second.is_readable(kPromptly));
    const Message response = second.read_response();
    CHECK(response.status == 200);
    CHECK(response.field("X-Origin") == name);
  }

  Gate is_held, is_over;
  Origin a{[this](OriginConn& c) {
    c.serve([this](const Message& request) {
      if (request.target == "/held") {
        is_held.open();
        is_over.wait();
      }
      return answer(200, "ok", "X-Origin: a\r\n");
    });
  }};
  SimpleOrigin b{"b"};
  Values values;
  std::unique_ptr<Sluice> sluice;
  Wire first, second;
};

}  // namespace

TEST_CASE("e2e/regress: a waiting request goes on when an endpoint is enabled") {
  Site site;
  REQUIRE(site.sluice->command({"disable", "app/b"}).exit_code == 0);
  site.fill_and_wait();
  REQUIRE(site.sluice->command({"enable", "app/b"}).exit_code == 0);
  site.expect_answer_from("b");
}

TEST_CASE("e2e/regress: a waiting request goes on when an endpoint is not drained any more") {
  Site site;
  REQUIRE(site.sluice->command({"drain", "app/b"}).exit_code == 0);
  site.fill_and_wait();
  REQUIRE(site.sluice->command({"undrain", "app/b"}).exit_code == 0);
  site.expect_answer_from("b");
}

TEST_CASE("e2e/regress: a waiting request goes on when a reload makes room") {
  Site site;
  REQUIRE(site.sluice->command({"disable", "app/b"}).exit_code == 0);
  site.fill_and_wait();
  site.values["most"] = "2";
  site.sluice->rewrite(kQueue, site.values);
  REQUIRE(site.sluice->reload().status == 200);
  site.expect_answer_from("a");
}

TEST_CASE("e2e/regress: a waiting request goes on when an endpoint comes up") {
  Site site("{type: http, path: /healthz, interval: 100ms, timeout: 2s, rise: 1, fall: 1}");
  site.sluice->wait_for_state("app", "b", "down");
  site.fill_and_wait();
  site.b.set_health(200);
  site.expect_answer_from("b");
}

TEST_CASE("e2e/regress: one place, two workers and many clients: nobody is forgotten") {
  constexpr int kClients = 10;
  constexpr int kRequestsEach = 30;
  Site site;
  site.b.set_delay(milliseconds(2));
  REQUIRE(site.sluice->command({"disable", "app/a"}).exit_code == 0);
  const uint16_t port = site.sluice->port();
  std::atomic<int> good{0};
  const auto took = time_of([&] {
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&] {
        try {
          Wire client = Wire::to_port(port);
          for (int n = 0; n < kRequestsEach; ++n) {
            client.send(request_text());
            good += client.read_response().status == 200 ? 1 : 0;
          }
        } catch (const Failure& failure) {
          MESSAGE(failure.what());
        }
      });
    }
    for (std::thread& client : clients) client.join();
  });
  MESSAGE("300 requests of 2 ms took " << took.count() << " ms");
  CHECK(good == kClients * kRequestsEach);
  CHECK(site.b.in_flight_peak() == 1);
  CHECK(site.sluice->value("sluice_queue_waits_total") > kRequestsEach);  // there was a queue
  CHECK(took < milliseconds(3000 * kSlow));  // one who is forgotten waits for 5 s
}
