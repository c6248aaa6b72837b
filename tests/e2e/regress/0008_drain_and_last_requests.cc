// A request that crosses the begin of a drain on its way is answered; who says nothing holds
// nobody.
#include <signal.h>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
drain_timeout: 20s
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

// Returns when the listeners are closed: then every worker drains its connections.
void begin_drain(Sluice& sluice, uint16_t port) {
  sluice.signal(SIGTERM);
  const auto refuses = [&] {
    try {
      Wire::to_port(port);
      return false;
    } catch (const Failure&) {
      return true;
    }
  };
  REQUIRE(eventually([&] { return sluice.admin("GET", "/readyz").status == 503; }));
  REQUIRE(eventually(refuses));
}

}  // namespace

TEST_CASE("e2e/regress: a request whose first byte comes just after TERM is answered") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  const uint16_t port = sluice.port();
  Wire client = Wire::to_port(port);
  std::string body = "hello";
  SUBCASE("the first one of its connection") {}
  SUBCASE("after one that was answered before") {
    client.send(request_text());
    REQUIRE(client.read_response().body == body);
  }
  sluice.wait_for_value("sluice_listener_connections", "listener=\"web\"", 1);
  begin_drain(sluice, port);
  REQUIRE(client.try_send(request_text("/late")));
  const Message response = client.read_response();
  CHECK(response.status == 200);
  CHECK(response.body == body);
  CHECK(lower(response.field("Connection")) == "close");
  client.expect_close();
  client.close();
  CHECK(sluice.wait() == 0);
}

TEST_CASE("e2e/regress: a client that says nothing does not hold up the stop") {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  Wire fresh = Wire::to_port(sluice.port()), used = Wire::to_port(sluice.port());
  used.send(request_text());
  REQUIRE(used.read_response().body == "hello");
  sluice.wait_for_value("sluice_listener_connections", "listener=\"web\"", 2);
  const auto took = time_of([&] {
    sluice.signal(SIGTERM);
    CHECK(sluice.wait() == 0);
  });
  CHECK(took < milliseconds(2000 * kSlow));  // of the 20 s that a request under way would get
  fresh.expect_close();
  used.expect_close();
}
