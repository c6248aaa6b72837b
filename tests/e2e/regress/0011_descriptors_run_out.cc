// More clients than descriptors: those who are in notice nothing, the others wait, and who watches
// over sluice still can.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr size_t kDescriptors = 128;
constexpr size_t kClients = 150;
constexpr size_t kLast = 20;  // of them, who wait to the end

constexpr const char* kOnePool = R"(
workers: 1
pools:
  app:
    endpoints: [{address: "@a", name: a}]
    health: {type: http, path: /healthz, interval: 50ms, timeout: 2s, rise: 1, fall: 1}
)";

size_t count_lines(const std::string& text, const std::string& mark) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += mark.size()) ++count;
  return count;
}

}  // namespace

TEST_CASE("e2e/regress: when descriptors run out accepting pauses, and all else goes on") {
  SimpleOrigin origin;
  origin.set_close_each(true);  // each request and each probe needs a descriptor of its own
  Sluice sluice(kOnePool, {{"a", origin.address()}},
                {"prlimit", "--nofile=" + std::to_string(kDescriptors)});
  const uint16_t port = sluice.port();
  std::vector<Wire> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(Wire::to_port(port));

  // The admin socket says so, though there is no descriptor for a client.
  REQUIRE(eventually([&] { return sluice.value("sluice_accept_pauses_total") > 0; }));
  const double inside = sluice.value("sluice_listener_connections", "listener=\"web\"");
  MESSAGE(inside << " of " << kClients << " clients are in");
  REQUIRE(inside > 20);
  REQUIRE(inside < kDescriptors);
  CHECK(sluice.command({"status"}).exit_code == 0);

  // Who is in is served; one worker takes them in the order in which they came.
  for (size_t i = 0; i < static_cast<size_t>(inside); ++i) {
    clients[i].send(request_text());
    REQUIRE(clients[i].read_response().body == "hello");
  }
  // The endpoint is still looked after, and well.
  const size_t probes = origin.probes();
  CHECK(eventually([&] { return origin.probes() >= probes + 5; }));
  CHECK(sluice.endpoint("app", "a").at("state") == "up");
  CHECK(sluice.endpoint("app", "a").at("failures") == 0);

  // Who waits gets in when others leave.
  clients.back().send(request_text());
  CHECK_FALSE(clients.back().is_readable(milliseconds(100)));
  clients.erase(clients.begin(), clients.end() - kLast);
  CHECK(clients.back().read_response().body == "hello");
  CHECK(sluice.reaches("sluice_listener_connections", "listener=\"web\"", kLast));
  for (Wire& client : clients) {
    client.send(request_text());
    REQUIRE(client.read_response().body == "hello");
  }
  CHECK(count_lines(sluice.err(), "warn listener:") == 1);
  CHECK(count_lines(sluice.err(), " is down") == 0);
}
