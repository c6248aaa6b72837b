// Connections made over loopback, kept, taken again and let go.
#include "sluice/upstream/connection_pool.h"

#include <sys/stat.h>

#include <cstdlib>

#include "support.h"

namespace sluice::upstream {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Bed final : AcquireListener {
  void on_acquired(UpstreamStream* stream) noexcept override {
    CHECK_FALSE(is_calling);
    got = stream;
    if (drops_inside) acquire.reset();
  }
  void on_acquire_failed(Error why) noexcept override {
    CHECK_FALSE(is_calling);
    error = why;
    if (drops_inside) acquire.reset();
  }
  std::shared_ptr<Endpoint> endpoint_at(uint16_t port, const std::string& name = "e") {
    return std::make_shared<Endpoint>("p", endpoint_config(name, port), 1, 1);
  }
  // A stream to `endpoint`, connected or failed.
  UpstreamStream* connect(std::shared_ptr<Endpoint> endpoint) {
    got = nullptr;
    error = {};
    is_calling = true;
    acquire = pool.connect(std::move(endpoint), timeouts, this);
    is_calling = false;
    REQUIRE(run_until(loop, [&] { return got != nullptr || error; }));
    acquire.reset();
    return got;
  }
  // One whole exchange on a stream, whose other end is `fd`.
  void exchange(UpstreamStream& stream, int fd) {
    Asker asker(loop);
    asker.begin(stream);
    asker.ask(kGet);
    REQUIRE(::send(fd, kHello.data(), kHello.size(), 0) == static_cast<ssize_t>(kHello.size()));
    REQUIRE(spin_until(loop, [&] { return stream.is_complete(); }));
    char request[4096];
    CHECK(::recv(fd, request, sizeof request, 0) > 0);  // or a close would be a reset
    asker.release();
  }

  loop::Loop loop;
  stats::Counters counters;
  ConnectionPool pool{loop, counters};
  config::PoolTimeouts timeouts;
  std::unique_ptr<Acquire> acquire;
  UpstreamStream* got = nullptr;
  Error error;
  bool is_calling = false;
  bool drops_inside = false;
};

TEST_CASE("upstream/connection_pool: a kept connection is taken again, newest first") {
  Bed bed;
  Listening listening;
  auto endpoint = bed.endpoint_at(listening.port());
  CHECK(bed.pool.take_idle(*endpoint) == nullptr);
  UpstreamStream* one = bed.connect(endpoint);
  const int one_fd = listening.accept();
  UpstreamStream* two = bed.connect(endpoint);
  const int two_fd = listening.accept();
  CHECK(bed.pool.open_count() == 2);
  bed.exchange(*one, one_fd);
  bed.exchange(*two, two_fd);
  CHECK(bed.pool.idle_count() == 2);
  CHECK(bed.counters.get(stats::Counter::upstream_connections_idle) == 2);
  CHECK(bed.pool.take_idle(*endpoint) == two);
  CHECK(bed.pool.take_idle(*endpoint) == one);
  CHECK(bed.pool.take_idle(*endpoint) == nullptr);
  CHECK(bed.pool.idle_count() == 0);
  CHECK(bed.counters.get(stats::Counter::upstream_connects) == 2);
  CHECK(bed.counters.get(stats::Counter::upstream_reuses) == 2);
  bed.exchange(*one, one_fd);
  CHECK(one->is_reused());
  two->abandon(CloseReason::kAborted);
  ::close(one_fd);
  ::close(two_fd);
  CHECK(spin_until(bed.loop, [&] { return bed.pool.open_count() == 0; }));
  CHECK(bed.counters.closes(stats::Side::upstream, CloseReason::kPeerClosed) == 1);
}

TEST_CASE("upstream/connection_pool: what is idle to one endpoint serves no other") {
  Bed bed;
  Listening listening;
  auto one = bed.endpoint_at(listening.port(), "one");
  auto two = bed.endpoint_at(listening.port(), "two");
  UpstreamStream* stream = bed.connect(one);
  const int fd = listening.accept();
  bed.exchange(*stream, fd);
  CHECK(bed.pool.take_idle(*two) == nullptr);
  CHECK(bed.pool.idle_count() == 1);
  ::close(fd);
}

TEST_CASE("upstream/connection_pool: an endpoint that retired is closed and kept no more") {
  Bed bed;
  Listening listening;
  auto endpoint = bed.endpoint_at(listening.port());
  UpstreamStream* idle = bed.connect(endpoint);
  const int idle_fd = listening.accept();
  UpstreamStream* busy = bed.connect(endpoint);
  const int busy_fd = listening.accept();
  bed.exchange(*idle, idle_fd);
  bed.pool.retire(*endpoint);
  CHECK(bed.pool.idle_count() == 0);
  CHECK(bed.pool.open_count() == 1);
  bed.exchange(*busy, busy_fd);
  CHECK(bed.pool.open_count() == 0);
  CHECK(bed.counters.closes(stats::Side::upstream, CloseReason::kRetired) == 2);
  bed.pool.retire(*endpoint);
  ::close(idle_fd);
  ::close(busy_fd);
}

TEST_CASE("upstream/connection_pool: close_idle leaves what is in use") {
  Bed bed;
  Listening listening;
  auto endpoint = bed.endpoint_at(listening.port());
  UpstreamStream* idle = bed.connect(endpoint);
  const int idle_fd = listening.accept();
  UpstreamStream* busy = bed.connect(endpoint);
  const int busy_fd = listening.accept();
  bed.exchange(*idle, idle_fd);
  bed.pool.close_idle();
  CHECK(bed.pool.open_count() == 1);
  bed.exchange(*busy, busy_fd);
  CHECK(bed.pool.idle_count() == 1);
  ::close(idle_fd);
  ::close(busy_fd);
}

TEST_CASE("upstream/connection_pool: why a connection cannot be made") {
  Bed bed;
  SUBCASE("refused") {
    Listening listening;
    auto endpoint = bed.endpoint_at(listening.port());
    listening.stop();
    CHECK(bed.connect(endpoint) == nullptr);
    CHECK(bed.error.code() == Errc::kConnectRefused);
    CHECK(bed.error.sys() == ECONNREFUSED);
  }
  SUBCASE("no such unix socket") {
    auto configured = endpoint_config("u");
    configured.address.kind = config::EndpointAddress::Kind::kUnix;
    configured.address.path = "/nonexistent/socket";
    CHECK(bed.connect(std::make_shared<Endpoint>("p", configured, 1, 1)) == nullptr);
    CHECK(bed.error.code() == Errc::kConnectRefused);
  }
  SUBCASE("a name without an address") {
    auto configured = endpoint_config("n");
    configured.address.kind = config::EndpointAddress::Kind::kName;
    configured.address.host = "no-such-host.invalid";
    bed.timeouts.connect = seconds(20);
    CHECK(bed.connect(std::make_shared<Endpoint>("p", configured, 1, 1)) == nullptr);
    CHECK(bed.error.code() == Errc::kDnsFailed);
  }
  CHECK(bed.pool.open_count() == 0);
}

// A listener whose queue is full answers no further SYN.
struct Silent {
  Silent() {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address = *SocketAddress::from_ip("127.0.0.1", 0);
    REQUIRE(::bind(fd, address.raw(), address.size()) == 0);
    REQUIRE(::listen(fd, 0) == 0);
    socklen_t size = SocketAddress::kCapacity;
    REQUIRE(getsockname(fd, address.raw(), &size) == 0);
    for (int& filler : fillers) {
      filler = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      (void)!::connect(filler, address.raw(), address.size());
    }
  }
  ~Silent() {
    ::close(fd);
    for (int filler : fillers) ::close(filler);
  }
  int fd;
  int fillers[4];
  SocketAddress address;
};

TEST_CASE("upstream/connection_pool: no answer is a timeout") {
  Bed bed;
  Silent silent;
  bed.timeouts.connect = milliseconds(50);
  const TimePoint began = monotonic_now();
  CHECK(bed.connect(bed.endpoint_at(silent.address.port())) == nullptr);
  CHECK(bed.error.code() == Errc::kConnectTimeout);
  CHECK(monotonic_now() - began >= milliseconds(50));
  CHECK(bed.counters.get(stats::Counter::upstream_connect_failures) == 1);
}

TEST_CASE("upstream/connection_pool: the next address is tried in the time that is left") {
  Bed bed;
  Silent silent;
  Listening closed, listening;
  closed.stop();
  auto configured = endpoint_config("n");
  configured.address.kind = config::EndpointAddress::Kind::kName;
  auto endpoint = std::make_shared<Endpoint>("p", configured, 1, 1);
  endpoint->set_addresses({silent.address, closed.address, listening.address});
  bed.timeouts.connect = milliseconds(300);
  UpstreamStream* stream = bed.connect(endpoint);
  REQUIRE(stream != nullptr);
  CHECK(bed.counters.get(stats::Counter::upstream_connect_failures) == 2);
  Asker asker(bed.loop);
  asker.begin(*stream);
  asker.abandon();
}

TEST_CASE("upstream/connection_pool: a name not resolved yet is looked up on the way") {
  Bed bed;
  Listening listening;
  auto configured = endpoint_config("n", listening.port());
  configured.address.kind = config::EndpointAddress::Kind::kName;
  configured.address.host = "localhost";
  bed.timeouts.connect = seconds(20);
  UpstreamStream* stream = bed.connect(std::make_shared<Endpoint>("p", configured, 1, 1));
  REQUIRE(stream != nullptr);
  Asker asker(bed.loop);
  asker.begin(*stream);
  asker.abandon();
}

TEST_CASE("upstream/connection_pool: a unix socket") {
  Bed bed;
  char folder[] = "/tmp/sluice-test-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/s";
  const SocketAddress address = *SocketAddress::from_path(path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(fd, address.raw(), address.size()) == 0);
  REQUIRE(::listen(fd, 4) == 0);
  auto configured = endpoint_config("u");
  configured.address.kind = config::EndpointAddress::Kind::kUnix;
  configured.address.path = path;
  UpstreamStream* stream = bed.connect(std::make_shared<Endpoint>("p", configured, 1, 1));
  REQUIRE(stream != nullptr);
  const int accepted = ::accept(fd, nullptr, nullptr);
  bed.exchange(*stream, accepted);
  CHECK(bed.pool.idle_count() == 1);
  ::close(accepted);
  ::close(fd);
  ::unlink(path.c_str());
  ::rmdir(folder);
}

TEST_CASE(
    "upstream/connection_pool: giving up calls nobody, and dropping inside the call is fine") {
  Bed bed;
  Listening listening;
  auto endpoint = bed.endpoint_at(listening.port());
  bed.acquire = bed.pool.connect(endpoint, bed.timeouts, &bed);
  bed.acquire.reset();
  settle(bed.loop);
  CHECK(bed.got == nullptr);
  CHECK_FALSE(bed.error);
  bed.drops_inside = true;
  UpstreamStream* stream = bed.connect(endpoint);
  REQUIRE(stream != nullptr);
  Asker asker(bed.loop);
  asker.begin(*stream);
  asker.abandon();
  listening.stop();
  CHECK(bed.connect(endpoint) == nullptr);
  CHECK(bed.error.code() == Errc::kConnectRefused);
}

TEST_CASE("upstream/connection_pool: no more than so many idle ones are kept") {
  Bed bed;
  Listening listening;
  auto endpoint = bed.endpoint_at(listening.port());
  // A descriptor limit below what this needs would make it a test of the machine.
  std::vector<std::pair<UpstreamStream*, int>> all;
  for (size_t i = 0; i < kMostIdle + 2; ++i) {
    UpstreamStream* stream = bed.connect(endpoint);
    if (stream == nullptr) break;
    all.emplace_back(stream, listening.accept());
  }
  const bool enough = all.size() > kMostIdle;
  for (auto [stream, fd] : all) bed.exchange(*stream, fd);
  if (enough) {
    CHECK(bed.pool.idle_count() == kMostIdle);
    CHECK(bed.counters.closes(stats::Side::upstream, CloseReason::kExcess) == 2);
  }
  for (auto [stream, fd] : all) ::close(fd);
}

}  // namespace
}  // namespace sluice::upstream
