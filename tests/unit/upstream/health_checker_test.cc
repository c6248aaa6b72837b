// Probes against scripted endpoints on loopback, on a real loop.
#include "sluice/upstream/health_checker.h"

#include <optional>

#include "sluice/loop/acceptor.h"
#include "sluice/upstream/probe.h"
#include "support.h"

namespace sluice::upstream {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Answers every connection with the same bytes once a head has come.
struct Answering final : loop::AcceptorEvents {
  explicit Answering(loop::Loop& its_loop, std::string its_answer, bool its_closes = false)
      : loop(its_loop), answer(std::move(its_answer)), closes(its_closes) {
    acceptor.emplace(loop, listening.fd, this);
  }
  void on_accept(int fd, const SocketAddress&) noexcept override {
    connections.push_back(std::make_unique<Connection>(*this, fd));
  }
  void on_accept_error(Error) noexcept override {}
  uint16_t port() const { return listening.port(); }

  struct Connection final : loop::StreamEvents {
    Connection(Answering& its_owner, int fd) : owner(its_owner) {
      stream = *loop::adopt_socket(owner.loop, fd);
      stream->start(this);
      ++owner.accepted;
    }
    void on_read(Slice bytes) noexcept override {
      request += bytes.view();
      if (request.find("\r\n\r\n") == std::string::npos) return;
      owner.last_request = request;
      ++owner.requests;
      if (owner.answer.empty()) return;
      stream->write(loop::test::chain_of(owner.answer));
      if (owner.closes) stream->finish();
    }
    void on_eof() noexcept override {}
    void on_drained() noexcept override {}
    void on_broken(Error) noexcept override {}
    Answering& owner;
    std::unique_ptr<loop::Stream> stream;
    std::string request;
  };

  loop::Loop& loop;
  Listening listening;
  std::string answer;
  bool closes;
  int accepted = 0;
  int requests = 0;
  std::string last_request;
  std::vector<std::unique_ptr<Connection>> connections;
  std::optional<loop::Acceptor> acceptor;
};

struct Hearing final : ProbeListener {
  void on_probed(Probe&, ProbeResult got) noexcept override {
    ++count;
    result = std::move(got);
  }
  int count = 0;
  ProbeResult result;
};

using Verdict = ProbeResult::Verdict;

ProbeResult probe(loop::Loop& loop, const config::Health& check, const SocketAddress& address) {
  Hearing hearing;
  Probe probe(loop, check, "the-host", address, &hearing);
  for (int round = 1; round <= 2; ++round) {  // it can be repeated
    probe.start();
    CHECK(hearing.count == round - 1);
    REQUIRE(run_until(loop, [&] { return hearing.count == round; }));
  }
  return hearing.result;
}

config::Health http_check() {
  config::Health check;
  check.type = config::Health::Type::kHttp;
  check.path = "/healthz";
  check.interval = milliseconds(40);
  check.timeout = seconds(5);
  return check;
}

TEST_CASE("upstream/probe: what an HTTP answer is worth") {
  struct Case {
    std::string answer;
    bool closes;
    std::string body;  // wanted
    Verdict verdict;
    std::string text;  // how it begins
  } const cases[] = {
      {std::string(kHello), false, "", Verdict::good, "200 in "},
      {"HTTP/1.1 204 No Content\r\n\r\n", false, "", Verdict::good, "204 in "},
      {"HTTP/1.1 100 Continue\r\n\r\n" + std::string(kHello), false, "", Verdict::good, "200 in "},
      {"HTTP/1.1 503 S\r\nContent-Length: 0\r\n\r\n", false, "", Verdict::bad,
       "status 503, expected 200-399"},
      {std::string(kHello), false, "ell", Verdict::good, "200 in "},
      {std::string(kHello), false, "hullo", Verdict::bad, "200 without \"hullo\" in the body"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
       false, "hello", Verdict::good, "200 in "},
      {"HTTP/1.1 200 OK\r\n\r\nsome hello", true, "hello", Verdict::good, "200 in "},
      {"HTTP/1.1 200 OK\r\n\r\nsome", true, "hello", Verdict::bad, "200 without"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + std::string(80'000, 'x'), false, "y",
       Verdict::bad, "200 without"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", true, "y", Verdict::bad, "closed within"},
      {"nonsense\r\n\r\n", false, "", Verdict::bad, "a malformed answer"},
      {"HTTP/1.1 20", true, "", Verdict::bad, "closed before the head"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.answer.substr(0, 60));
    loop::Loop loop;
    Answering endpoint(loop, c.answer, c.closes);
    config::Health check = http_check();
    check.body = c.body;
    const ProbeResult got = probe(loop, check, endpoint.listening.address);
    CHECK(got.verdict == c.verdict);
    CHECK(got.text.substr(0, c.text.size()) == c.text);
    CHECK(endpoint.requests == 2);
    CHECK(endpoint.last_request ==
          "GET /healthz HTTP/1.1\r\nHost: the-host\r\nUser-Agent: sluice-health\r\nAccept: */*\r\n"
          "Connection: close\r\n\r\n");
  }
}

TEST_CASE("upstream/probe: TCP connects, is refused, or times out") {
  loop::Loop loop;
  config::Health check;
  check.timeout = seconds(5);
  Listening listening;
  ProbeResult got = probe(loop, check, listening.address);
  CHECK(got.verdict == Verdict::good);
  CHECK(got.text.starts_with("connected in "));
  Listening closed;
  closed.stop();
  got = probe(loop, check, closed.address);
  CHECK(got.verdict == Verdict::bad);
  CHECK(got.text == "connection refused");
  check = http_check();  // accepted by the kernel, never answered
  check.timeout = milliseconds(20);
  got = probe(loop, check, listening.address);
  CHECK(got.verdict == Verdict::bad);
  CHECK(got.text == "timed out after 20ms");
}

struct Bed {
  config::Pool& pool(const std::string& name) {
    auto& added = config.pools.emplace_back();
    added.name = name;
    added.health = http_check();
    return added;
  }
  void apply() {
    auto snapshot = config::make_snapshot(config, ++generation);
    parts = registry.apply(*snapshot);
    checker->apply(snapshot, parts);
  }
  Endpoint& endpoint(size_t index) { return *parts[0].endpoints[index]; }

  loop::Loop loop;
  stats::Counters counters;
  stats::NameTable names;
  Registry registry{1, names};
  std::optional<HealthChecker> checker{std::in_place, loop, counters};
  config::Config config;
  uint64_t generation = 0;
  std::vector<PoolParts> parts;
};

TEST_CASE("upstream/health_checker: down after fall, up after rise, and what status shows") {
  Bed bed;
  Answering endpoint(bed.loop, std::string(kHello));
  bed.pool("p").endpoints = {endpoint_config("a", endpoint.port())};
  bed.apply();
  CHECK_FALSE(bed.endpoint(0).check().done);
  REQUIRE(run_until(bed.loop, [&] { return bed.endpoint(0).check().done; }));
  CHECK(bed.endpoint(0).check().ok);
  CHECK(bed.endpoint(0).check().text.starts_with("200 in "));
  const WallTime since = bed.endpoint(0).check().since;

  endpoint.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
  const int before = endpoint.requests;
  REQUIRE(run_until(bed.loop, [&] { return !bed.endpoint(0).is_healthy(); }));
  CHECK(endpoint.requests - before >= 3);
  CHECK_FALSE(bed.endpoint(0).check().ok);
  CHECK(bed.endpoint(0).check().since > since);
  CHECK(bed.endpoint(0).check().text == "status 500, expected 200-399");
  CHECK(bed.endpoint(0).state() == EndpointState::down);

  endpoint.answer = std::string(kHello);
  REQUIRE(run_until(bed.loop, [&] { return bed.endpoint(0).is_healthy(); }));
  CHECK(bed.counters.get(stats::Counter::health_check_failures) >= 3);
  CHECK(bed.counters.get(stats::Counter::health_checks) >= 6);
}

TEST_CASE("upstream/health_checker: a reload keeps what is the same and ends what is gone") {
  Bed bed;
  Answering one(bed.loop, std::string(kHello)), two(bed.loop, std::string(kHello));
  config::Pool& pool = bed.pool("p");
  pool.health.interval = seconds(60);
  pool.endpoints = {endpoint_config("a", one.port()), endpoint_config("b", two.port())};
  bed.apply();
  REQUIRE(run_until(bed.loop, [&] { return one.requests == 1 && two.requests == 1; }));
  const auto a = bed.parts[0].endpoints[0];
  REQUIRE(run_until(bed.loop, [&] { return a->check().done; }));
  bed.config.pools[0].endpoints.pop_back();
  for (int i = 0; i < 3; ++i) bed.apply();
  settle(bed.loop);
  CHECK(one.requests == 1);  // not probed afresh
  CHECK(bed.parts[0].endpoints[0] == a);
  CHECK(a->check().done);
  bed.config.pools[0].health.path = "/other";
  bed.apply();
  REQUIRE(run_until(bed.loop, [&] { return one.requests == 2; }));
  CHECK(one.last_request.starts_with("GET /other "));
  CHECK(two.requests == 1);
  bed.checker.reset();
}

TEST_CASE("upstream/health_checker: checks that are turned off leave the endpoint up") {
  Bed bed;
  Listening closed;
  closed.stop();
  config::Pool& pool = bed.pool("p");
  pool.health.initial_up = false;
  pool.endpoints = {endpoint_config("a", closed.port())};
  bed.apply();
  CHECK_FALSE(bed.endpoint(0).is_healthy());
  bed.config.pools[0].health.type = config::Health::Type::kOff;
  bed.apply();
  CHECK(bed.endpoint(0).is_healthy());
}

TEST_CASE("upstream/health_checker: a first state of down needs rise good probes") {
  Bed bed;
  Answering endpoint(bed.loop, std::string(kHello));
  config::Pool& pool = bed.pool("p");
  pool.health.initial_up = false;
  pool.health.rise = 2;
  pool.endpoints = {endpoint_config("a", endpoint.port())};
  bed.apply();
  REQUIRE(run_until(bed.loop, [&] { return endpoint.requests == 1; }));
  CHECK_FALSE(bed.endpoint(0).is_healthy());
  REQUIRE(run_until(bed.loop, [&] { return bed.endpoint(0).is_healthy(); }));
  CHECK(endpoint.requests >= 2);
}

TEST_CASE(
    "upstream/health_checker: names resolve, and one without an answer is down with a reason") {
  Bed bed;
  Answering endpoint(bed.loop, std::string(kHello));
  config::Pool& pool = bed.pool("p");
  pool.endpoints = {endpoint_config("good", endpoint.port()), endpoint_config("bad")};
  for (auto& each : pool.endpoints) each.address.kind = config::EndpointAddress::Kind::kName;
  pool.endpoints[0].address.host = "localhost";
  pool.endpoints[1].address.host = "no-such-host.invalid";
  bed.apply();
  REQUIRE(run_until(bed.loop, [&] {
    return endpoint.requests > 0 && bed.endpoint(1).check().done && bed.endpoint(0).check().done;
  }));
  CHECK(bed.endpoint(0).is_usable(monotonic_now()));
  CHECK_FALSE(bed.endpoint(1).is_usable(monotonic_now()));
  CHECK(bed.endpoint(1).check().text.starts_with("does not resolve"));
  CHECK(bed.counters.get(stats::Counter::dns_lookups) == 2);
  CHECK(bed.counters.get(stats::Counter::dns_failures) == 1);
  CHECK(endpoint.last_request.find("Host: localhost:") != std::string::npos);
  bed.checker.reset();  // a look-up or probe under way is given up
  settle(bed.loop);
}

}  // namespace
}  // namespace sluice::upstream
