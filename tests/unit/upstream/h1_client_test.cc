// One endpoint connection against a scripted peer on a socket pair.
#include "sluice/upstream/h1_client.h"

#include "support.h"

namespace sluice::upstream {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Bed final : ClientOwner {
  Bed() : pair(loop) {
    auto configured = endpoint_config("e");
    endpoint = std::make_shared<Endpoint>("p", configured, 1, 1);
    client = new H1Client({.loop = loop,
                           .counters = counters,
                           .owner = *this,
                           .endpoint = endpoint,
                           .idle_timeout = idle_timeout},
                          std::move(pair.stream));
  }
  ~Bed() {
    if (client != nullptr) client->close(CloseReason::kShutdown);
    settle(loop);
  }
  std::optional<CloseReason> keep(H1Client&) noexcept override {
    ++kept;
    return refusal;
  }
  void gone(H1Client&, CloseReason reason) noexcept override {
    client = nullptr;
    closed = reason;
  }
  // Waits until the asker has heard something that makes `is_so` true.
  bool wait(const std::function<bool()>& is_so) { return spin_until(loop, is_so); }
  std::string request() {
    std::string bytes;
    CHECK(wait([&] {
      bytes += pair.receive();
      return bytes.find("\r\n\r\n") != std::string::npos;
    }));
    return bytes;
  }
  void begin() { asker.begin(*client); }
  bool is_dead() const { return client == nullptr; }

  loop::Loop loop;
  stats::Counters counters;
  loop::test::RawPair pair;
  std::shared_ptr<Endpoint> endpoint;
  Duration idle_timeout = seconds(60);
  H1Client* client = nullptr;
  Asker asker{loop};
  int kept = 0;
  std::optional<CloseReason> refusal;
  CloseReason closed = CloseReason::kCount;
};

TEST_CASE("upstream/h1_client: one exchange after the other on one connection") {
  Bed bed;
  for (int i = 0; i < 3; ++i) {
    bed.asker.body.clear();
    bed.begin();
    CHECK(bed.client->is_reused() == (i > 0));
    bed.asker.ask(kGet);
    CHECK(bed.request().starts_with("GET /x HTTP/1.1\r\nHost: h\r\n"));
    bed.pair.send(kHello);
    REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
    CHECK(bed.client->head()->status == 200);
    CHECK(bed.asker.body == "hello");
    CHECK(bed.client->has_response_bytes());
    bed.asker.release();
    CHECK(bed.kept == i + 1);
    CHECK(bed.client->is_idle());
  }
  CHECK(bed.counters.get(stats::Counter::upstream_bytes_in) == 3 * kHello.size());
  CHECK(bed.counters.get(stats::Counter::upstream_bytes_out) > 3 * kGet.size());
}

TEST_CASE("upstream/h1_client: head and body leave together, chunked is written afresh") {
  Bed bed;
  bed.begin();
  bed.asker.send_head("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  bed.client->send_body(loop::test::chain_of("hello world, sixteen+"));
  bed.client->send_body(Chain());
  bed.client->send_body(loop::test::chain_of("x"));
  const http::Field field{"X-Sum", "7", http::FieldId::kOther};
  const http::FieldList trailers{std::span(&field, 1)};
  bed.client->send_end(&trailers);
  settle(bed.loop);
  CHECK(bed.pair.receive().empty());
  CHECK(bed.client->pending() > 0);
  bed.client->flush();
  std::string request = bed.request();
  request += bed.pair.receive();
  CHECK(request.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(
      request.ends_with("\r\n\r\n15\r\nhello world, sixteen+\r\n1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n"));
  bed.pair.send(kHello);
  REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
  bed.asker.release();
  CHECK(bed.kept == 1);
}

TEST_CASE("upstream/h1_client: many small pieces share the chunks of their size lines") {
  Bed bed;
  bed.begin();
  bed.asker.send_head("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  bed.client->flush();
  bed.request();
  const size_t before = bed.loop.chunks().chunks_in_use();
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    bed.client->send_body(loop::test::chain_of("y"));
    expected += "1\r\ny\r\n";
  }
  CHECK(bed.loop.chunks().chunks_in_use() <= before + 1);
  bed.client->send_end(nullptr);
  bed.client->flush();
  std::string got;
  CHECK(bed.wait([&] { return (got += bed.pair.receive()).ends_with("0\r\n\r\n"); }));
  CHECK(got == expected + "0\r\n\r\n");
}

TEST_CASE("upstream/h1_client: interim heads queue up before the head") {
  Bed bed;
  bed.begin();
  bed.asker.ask(kGet);
  bed.pair.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
  REQUIRE(bed.wait([&] { return bed.client->interim() != nullptr; }));
  CHECK(bed.client->head() == nullptr);
  CHECK(bed.client->interim()->status == 100);
  bed.client->pop_interim();
  REQUIRE(bed.client->interim() != nullptr);
  CHECK(bed.client->interim()->status == 103);
  bed.client->pop_interim();
  CHECK(bed.client->interim() == nullptr);
  bed.pair.send(kHello);
  CHECK(bed.wait([&] { return bed.client->is_complete(); }));
  bed.asker.release();
}

TEST_CASE("upstream/h1_client: one progress for all that came in one read") {
  Bed bed;
  bed.begin();
  bed.asker.ask(kGet);
  bed.pair.send("HTTP/1.1 100 Continue\r\n\r\n" + std::string(kHello));
  REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
  CHECK(bed.asker.progress == 1);
  bed.asker.release();
}

TEST_CASE("upstream/h1_client: what ends an exchange badly") {
  struct Case {
    const char* name;
    std::string answer;
    bool closes;
    Errc error;
    bool bytes;
  } const cases[] = {
      {"close before an answer", "", true, Errc::kResetBeforeHead, false},
      {"close within the head", "HTTP/1.1 200 O", true, Errc::kResponseIncomplete, true},
      {"close within the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true,
       Errc::kResponseIncomplete, true},
      {"a malformed head", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", false, Errc::kBadResponse, true},
      {"a switch of protocols", "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", false,
       Errc::kUpgradeRefused, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Bed bed;
    bed.begin();
    bed.asker.ask(kGet);
    bed.request();
    if (!c.answer.empty()) bed.pair.send(c.answer);
    if (c.closes) bed.pair.close_fd();
    REQUIRE(bed.wait([&] { return static_cast<bool>(bed.client->error()); }));
    CHECK(bed.client->error().code() == c.error);
    CHECK(bed.client->has_response_bytes() == c.bytes);
    CHECK_FALSE(bed.client->is_complete());
    const int progress = bed.asker.progress;
    settle(bed.loop);
    CHECK(bed.asker.progress == progress);  // terminal
    bed.asker.abandon(CloseReason::kPeerError);
    CHECK(bed.closed == CloseReason::kPeerError);
    CHECK(bed.counters.closes(stats::Side::upstream, CloseReason::kPeerError) == 1);
  }
}

TEST_CASE("upstream/h1_client: a reset is no end of a body that ends with the connection") {
  for (bool reset : {false, true}) {
    CAPTURE(reset);
    Bed bed;
    bed.client->close(CloseReason::kShutdown);
    loop::test::TcpFds fds;
    auto stream = loop::adopt_socket(bed.loop, fds.one);
    REQUIRE(stream);
    bed.client = new H1Client({.loop = bed.loop,
                               .counters = bed.counters,
                               .owner = bed,
                               .endpoint = bed.endpoint,
                               .idle_timeout = seconds(9)},
                              *std::move(stream));
    bed.begin();
    bed.asker.ask(kGet);
    const std::string answer = "HTTP/1.1 200 OK\r\n\r\nsome";
    REQUIRE(::send(fds.other, answer.data(), answer.size(), 0) ==
            static_cast<ssize_t>(answer.size()));
    REQUIRE(bed.wait([&] { return bed.asker.body == "some"; }));
    CHECK_FALSE(bed.client->is_complete());
    if (reset) {
      loop::test::reset_and_close(fds.other);
      REQUIRE(bed.wait([&] { return static_cast<bool>(bed.client->error()); }));
      CHECK(bed.client->error().code() == Errc::kResponseIncomplete);
      CHECK(bed.client->error().sys() == ECONNRESET);
      bed.asker.abandon();
    } else {
      std::string request(4096, '\0');
      ::recv(fds.other, request.data(), request.size(), 0);
      ::close(fds.other);
      REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
      bed.asker.release();
      CHECK(bed.closed == CloseReason::kDone);
    }
  }
}

TEST_CASE("upstream/h1_client: release keeps only what is clean") {
  struct Case {
    const char* name;
    std::string answer;
    bool closes;
    CloseReason reason;
  } const cases[] = {
      {"excess bytes", std::string(kHello) + "x", false, CloseReason::kDirty},
      {"Connection: close",
       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false,
       CloseReason::kDone},
      {"closed behind the answer", std::string(kHello), true, CloseReason::kPeerClosed},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Bed bed;
    bed.begin();
    bed.asker.ask(kGet);
    bed.request();
    bed.pair.send(c.answer);
    if (c.closes) bed.pair.close_fd();
    REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
    settle(bed.loop);
    CHECK_FALSE(bed.client->error());
    CHECK(bed.asker.body == "hello");
    bed.asker.release();
    CHECK(bed.is_dead());
    CHECK(bed.closed == c.reason);
    CHECK(bed.kept == 0);
  }
}

TEST_CASE("upstream/h1_client: an answer before the whole request ends the connection") {
  Bed bed;
  bed.begin();
  bed.asker.send_head("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
  bed.client->send_body(loop::test::chain_of("1234"));
  bed.client->flush();
  bed.request();
  bed.pair.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
  CHECK(bed.client->head()->status == 413);
  bed.asker.release();
  CHECK(bed.closed == CloseReason::kAborted);
}

TEST_CASE("upstream/h1_client: an early answer survives a write that fails") {
  Bed bed;
  bed.begin();
  bed.asker.send_head("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n");
  bed.client->flush();
  bed.request();
  bed.pair.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  bed.pair.close_fd();
  bed.client->send_body(loop::test::chain_of(std::string(1'000'000, 'x')));
  bed.client->flush();
  REQUIRE(bed.wait([&] { return bed.client->is_complete() || bed.client->error(); }));
  CHECK(bed.client->is_complete());
  REQUIRE(bed.client->head() != nullptr);
  CHECK(bed.client->head()->status == 413);
  bed.asker.release();
  CHECK(bed.is_dead());
}

TEST_CASE("upstream/h1_client: an idle connection ends by bytes, by close and by time") {
  SUBCASE("bytes") {
    Bed bed;
    bed.pair.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
    REQUIRE(bed.wait([&] { return bed.is_dead(); }));
    CHECK(bed.closed == CloseReason::kDirty);
  }
  SUBCASE("close") {
    Bed bed;
    bed.pair.close_fd();
    REQUIRE(bed.wait([&] { return bed.is_dead(); }));
    CHECK(bed.closed == CloseReason::kPeerClosed);
  }
  SUBCASE("time") {
    Bed bed;
    bed.client->close(CloseReason::kShutdown);
    loop::test::RawPair pair(bed.loop);
    bed.client = new H1Client({.loop = bed.loop,
                               .counters = bed.counters,
                               .owner = bed,
                               .endpoint = bed.endpoint,
                               .idle_timeout = milliseconds(20)},
                              std::move(pair.stream));
    bed.begin();
    bed.asker.ask(kGet);
    pair.send(kHello);
    REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
    bed.asker.release();
    CHECK_FALSE(bed.is_dead());
    REQUIRE(run_until(bed.loop, [&] { return bed.is_dead(); }));
    CHECK(bed.closed == CloseReason::kIdle);
  }
}

TEST_CASE("upstream/h1_client: the deadline is an error with its code, and can be moved") {
  Bed bed;
  bed.begin();
  bed.asker.ask(kGet);
  bed.client->expect_by(monotonic_now() + milliseconds(20), Errc::kHeadLate);
  bed.client->expect_by(TimePoint{}, Errc::kHeadLate);
  bed.client->expect_by(monotonic_now() + seconds(50), Errc::kResponseStalled);
  bed.client->expect_by(monotonic_now() + milliseconds(30), Errc::kSendStalled);
  REQUIRE(run_until(bed.loop, [&] { return bed.asker.progress > 0; }));
  CHECK(bed.client->error().code() == Errc::kSendStalled);
  bed.asker.abandon(CloseReason::kTimeout);
}

TEST_CASE("upstream/h1_client: release and abandon inside progress, and nothing is told after") {
  for (bool releases : {true, false}) {
    CAPTURE(releases);
    Bed bed;
    bed.begin();
    bed.asker.when_progress = [&] {
      if (!bed.asker.stream->is_complete()) return;
      releases ? std::exchange(bed.asker.stream, nullptr)->release() : bed.asker.abandon();
    };
    bed.asker.ask(kGet);
    bed.request();
    bed.pair.send(kHello);
    REQUIRE(bed.wait([&] { return bed.asker.stream == nullptr; }));
    const int progress = bed.asker.progress;
    if (releases) bed.pair.send("more");
    bed.pair.close_fd();
    REQUIRE(bed.wait([&] { return bed.is_dead(); }));
    settle(bed.loop);
    CHECK(bed.asker.progress == progress);
    CHECK(bed.closed == (releases ? CloseReason::kDirty : CloseReason::kAborted));
  }
}

TEST_CASE("upstream/h1_client: a paused body waits in the socket") {
  Bed bed;
  bed.begin();
  bed.asker.ask(kGet);
  bed.request();
  bed.client->pause_body();
  bed.pair.send(kHello);
  settle(bed.loop);
  CHECK(bed.asker.progress == 0);
  bed.client->resume_body();
  REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
  bed.client->pause_body();
  bed.asker.release();
  // Reading goes on while idle, so that a close is seen.
  bed.pair.close_fd();
  CHECK(bed.wait([&] { return bed.is_dead(); }));
}

TEST_CASE("upstream/h1_client: an owner that keeps nothing closes it") {
  Bed bed;
  bed.refusal = CloseReason::kRetired;
  bed.begin();
  bed.asker.ask(kGet);
  bed.pair.send(kHello);
  REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
  bed.asker.release();
  CHECK(bed.closed == CloseReason::kRetired);
}

TEST_CASE("upstream/h1_client: an answer cut at each byte is the same answer") {
  const std::string answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n";
  Bed bed;
  for (size_t cut = 1; cut < answer.size(); ++cut) {
    CAPTURE(cut);
    bed.asker.body.clear();
    bed.begin();
    bed.asker.ask(kGet);
    bed.request();
    const int progress = bed.asker.progress;
    bed.pair.send(std::string_view(answer).substr(0, cut));
    REQUIRE(bed.wait([&] { return bed.asker.progress > progress; }));
    CHECK_FALSE(bed.client->is_complete());
    bed.pair.send(std::string_view(answer).substr(cut));
    REQUIRE(bed.wait([&] { return bed.client->is_complete(); }));
    CHECK(bed.asker.body == "abcde");
    CHECK(bed.client->trailers().size() == 1);
    bed.asker.release();
    REQUIRE_FALSE(bed.is_dead());
  }
}

}  // namespace
}  // namespace sluice::upstream
