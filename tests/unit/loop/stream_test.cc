#include "sluice/loop/stream.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <string>
#include <vector>

#include "support.h"

using namespace sluice;
using namespace sluice::loop;
using namespace sluice::loop::test;

TEST_CASE("loop/stream: bytes come in order and go out at once") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.send("hello ");
  REQUIRE(run_until(loop, [&] { return events.received == "hello "; }));
  pair.send("world");
  REQUIRE(run_until(loop, [&] { return events.received == "hello world"; }));
  CHECK(pair.stream->bytes_read() == 11);

  pair.stream->write(chain_of("answer"));
  CHECK(pair.receive() == "answer");  // no turn of the loop was needed
  CHECK(pair.stream->pending() == 0);
  CHECK(pair.stream->bytes_written() == 6);
  settle(loop);
  CHECK(events.drained == 0);
}

TEST_CASE("loop/stream: reading re-uses the chunk of a listener that keeps nothing") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  std::vector<const char*> places;
  events.when_read = [&](const Slice& bytes) { places.push_back(bytes.data()); };
  pair.stream->start(&events);
  for (int i = 0; i < 3; ++i) {
    pair.send("abc");
    REQUIRE(run_until(loop, [&] { return events.reads == i + 1; }));
  }
  CHECK(places[1] == places[0]);
  CHECK(places[2] == places[0]);
  CHECK(loop.chunks().chunks_in_use() == 1);
}

TEST_CASE("loop/stream: kept bytes stay, and reading goes on behind them") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  std::vector<Slice> kept;
  events.when_read = [&](const Slice& bytes) { kept.push_back(bytes); };
  pair.stream->start(&events);
  std::string sent;
  for (int i = 0; i < 40; ++i) {
    std::string part(1000, static_cast<char>('a' + i % 26));
    sent += part;
    pair.send(part);
    REQUIRE(run_until(loop, [&] { return events.received.size() == sent.size(); }));
  }
  CHECK(kept[1].data() == kept[0].data() + 1000);
  std::string joined;
  for (const Slice& slice : kept) joined += slice.view();
  CHECK(joined == sent);
  CHECK(loop.chunks().chunks_in_use() >= 3);
  kept.clear();
  pair.send("x");
  REQUIRE(run_until(loop, [&] { return events.received.size() == sent.size() + 1; }));
  kept.clear();
  CHECK(loop.chunks().chunks_in_use() == 1);
}

TEST_CASE("loop/stream: two streams of a loop read through one chunk") {
  Loop loop;
  RawPair a(loop), b(loop);
  Recorder events_a, events_b;
  Slice kept;
  events_a.when_read = [&](const Slice& bytes) { kept = bytes; };
  a.stream->start(&events_a);
  b.stream->start(&events_b);
  a.send("aaaa");
  REQUIRE(run_until(loop, [&] { return events_a.reads == 1; }));
  b.send("bbbb");
  REQUIRE(run_until(loop, [&] { return events_b.reads == 1; }));
  CHECK(kept.view() == "aaaa");
  CHECK(loop.chunks().chunks_in_use() == 1);
}

TEST_CASE("loop/stream: the end comes once, after the last bytes, and writing still works") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.send("last words");
  ::shutdown(pair.fd, SHUT_WR);
  REQUIRE(run_until(loop, [&] { return events.has_eof; }));
  CHECK(events.received == "last words");
  settle(loop);
  pair.stream->write(chain_of("still here"));
  CHECK(pair.receive() == "still here");
  CHECK_FALSE(events.is_broken);
}

TEST_CASE("loop/stream: finish() sends FIN behind the queued bytes, and reading goes on") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  std::string body(2 << 20, 'b');
  pair.stream->write(chain_of(body));
  CHECK(pair.stream->pending() > 0);
  pair.stream->finish();
  std::string got;
  REQUIRE(spin_until(loop, [&] {
    got += pair.receive();
    return got.size() == body.size();
  }));
  REQUIRE(run_until(loop, [&] { return events.drained > 0; }));
  char byte;
  CHECK(::recv(pair.fd, &byte, 1, 0) == 0);
  pair.send("late");
  REQUIRE(run_until(loop, [&] { return events.received == "late"; }));
  CHECK(events.drained == 1);  // the low watermark and the end of the flush in one
}

TEST_CASE("loop/stream: finish() with nothing queued tells so later, not inside") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.stream->finish();
  CHECK(events.drained == 0);
  REQUIRE(run_until(loop, [&] { return events.drained == 1; }));
  char byte;
  CHECK(::recv(pair.fd, &byte, 1, 0) == 0);
}

TEST_CASE("loop/stream: a slow reader makes pending() grow; on_drained comes below the low mark") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  size_t pending_at_drained = 0;
  events.when_drained = [&] { pending_at_drained = pair.stream->pending(); };
  pair.stream->start(&events);
  size_t sent = 0;
  while (pair.stream->pending() <= kHighWatermark) {
    pair.stream->write(chain_of(std::string(10'000, 'x')));
    sent += 10'000;
  }
  settle(loop);
  CHECK(events.drained == 0);
  CHECK(pair.stream->bytes_written() + pair.stream->pending() == sent);
  size_t got = 0;
  REQUIRE(spin_until(loop, [&] {
    got += pair.receive(20'000).size();
    return events.drained == 1;
  }));
  CHECK(pending_at_drained < kLowWatermark);
  REQUIRE(spin_until(loop, [&] {
    got += pair.receive().size();
    return got == sent;
  }));
  settle(loop);
  CHECK(events.drained == 1);
  CHECK(pair.stream->bytes_written() == sent);
}

TEST_CASE("loop/stream: notify_flushed() asks for one on_drained at pending() == 0") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.stream->notify_flushed();
  CHECK(events.drained == 0);
  REQUIRE(run_until(loop, [&] { return events.drained == 1; }));

  pair.stream->write(chain_of(std::string(1 << 20, 'x')));
  REQUIRE(pair.stream->pending() > 0);
  pair.stream->notify_flushed();
  settle(loop);
  CHECK(events.drained == 1);
  size_t pending = 1;
  events.when_drained = [&] { pending = pair.stream->pending(); };
  REQUIRE(spin_until(loop, [&] {
    pair.receive();
    return events.drained == 2;
  }));
  settle(loop);
  CHECK(pending == 0);
  CHECK(events.drained == 2);
}

TEST_CASE("loop/stream: 50 MB of mixed slices arrive whole through a slow reader") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  constexpr size_t kTotal = 50'000'000;
  std::string pattern;
  for (int i = 0; i < 251'000; ++i) pattern += static_cast<char>(i % 251);
  size_t offered = 0, got = 0, most_pending = 0;
  bool is_same = true;
  auto offer = [&] {
    while (offered < kTotal && pair.stream->pending() <= kHighWatermark) {
      Chain chain;  // from one byte to more than the watermark in a slice
      for (size_t size : {size_t{1}, size_t{100}, size_t{16'000}, size_t{200'000}, size_t{7}}) {
        size = std::min(size, kTotal - offered);
        chain.push_back(Slice::copy_of(std::string_view(pattern).substr(offered % 251, size)));
        offered += size;
      }
      pair.stream->write(std::move(chain));
    }
    most_pending = std::max(most_pending, pair.stream->pending());
  };
  events.when_drained = offer;
  offer();
  REQUIRE(spin_until(loop, [&] {
    std::string part = pair.receive(50'000);
    is_same = is_same && part == std::string_view(pattern).substr(got % 251, part.size());
    got += part.size();
    return got == kTotal;
  }));
  CHECK(is_same);
  CHECK(most_pending < kHighWatermark + 220'000);
  CHECK(pair.stream->bytes_written() == kTotal);
}

TEST_CASE("loop/stream: a paused stream hands out nothing until all reasons are gone") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.stream->pause(PauseReason::backpressure);
  pair.stream->pause(PauseReason::owner);
  pair.send("later");
  settle(loop);
  pair.stream->resume(PauseReason::owner);
  settle(loop);
  CHECK(events.reads == 0);
  pair.stream->resume(PauseReason::backpressure);
  CHECK(events.reads == 0);  // not inside resume()
  REQUIRE(run_until(loop, [&] { return events.received == "later"; }));

  // Paused and resumed with nothing between.
  pair.stream->pause(PauseReason::pipelining);
  settle(loop);
  pair.stream->resume(PauseReason::pipelining);
  pair.send("!");
  REQUIRE(run_until(loop, [&] { return events.received == "later!"; }));
}

TEST_CASE("loop/stream: pausing inside on_read holds back the rest, and the end") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  events.when_read = [&](const Slice&) { pair.stream->pause(PauseReason::backpressure); };
  pair.stream->start(&events);
  std::string body(100'000, 'p');
  pair.send(body);
  ::shutdown(pair.fd, SHUT_WR);
  REQUIRE(run_until(loop, [&] { return events.reads == 1; }));
  settle(loop);
  CHECK(events.reads == 1);
  CHECK_FALSE(events.has_eof);
  REQUIRE(run_until(loop, [&] {
    pair.stream->resume(PauseReason::backpressure);
    return events.has_eof;
  }));
  CHECK(events.received == body);
}

TEST_CASE("loop/stream: a stream paused before start() reads nothing") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->pause(PauseReason::owner);
  pair.stream->start(&events);
  pair.send("x");
  settle(loop);
  CHECK(events.reads == 0);
  pair.stream->resume(PauseReason::owner);
  REQUIRE(run_until(loop, [&] { return events.reads == 1; }));
}

TEST_CASE("loop/stream: a failed write tells on_broken later, not inside write()") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.close_fd();
  pair.stream->write(chain_of("into the void"));
  CHECK_FALSE(events.is_broken);
  CHECK(pair.stream->pending() == 0);
  pair.stream->write(chain_of("dropped"));
  REQUIRE(run_until(loop, [&] { return events.is_broken; }));
  CHECK(events.error.code() == Errc::kSystem);
  CHECK(events.error.sys() == EPIPE);
  pair.stream->close(CloseReason::kPeerReset);
  settle(loop);
}

TEST_CASE("loop/stream: a write that fails before start() is told after it") {
  Loop loop;
  RawPair pair(loop);
  pair.close_fd();
  pair.stream->write(chain_of("x"));
  settle(loop);
  Recorder events;
  pair.stream->start(&events);
  CHECK_FALSE(events.is_broken);
  REQUIRE(run_until(loop, [&] { return events.is_broken; }));
}

TEST_CASE("loop/stream: an early answer is read although writing failed") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.send("HTTP/1.1 413 Too Large\r\n\r\n");
  pair.close_fd();
  pair.stream->write(chain_of("more of the body"));
  events.when_broken = [&] { CHECK(events.received == "HTTP/1.1 413 Too Large\r\n\r\n"); };
  REQUIRE(run_until(loop, [&] { return events.is_broken; }));
}

TEST_CASE("loop/stream: a reset while we send surfaces as on_broken, also after the end was read") {
  Loop loop;
  TcpFds fds;
  auto stream = *adopt_socket(loop, fds.one);
  Recorder events;
  stream->start(&events);
  ::shutdown(fds.other, SHUT_WR);
  REQUIRE(run_until(loop, [&] { return events.has_eof; }));
  while (stream->pending() == 0) stream->write(chain_of(std::string(1 << 20, 'x')));
  settle(loop);
  CHECK_FALSE(events.is_broken);
  reset_and_close(fds.other);
  REQUIRE(run_until(loop, [&] { return events.is_broken; }));
}

TEST_CASE("loop/stream: a reset is on_broken with its errno, and no end") {
  Loop loop;
  TcpFds fds;
  auto stream = *adopt_socket(loop, fds.one);
  Recorder events;
  stream->start(&events);
  reset_and_close(fds.other);
  REQUIRE(run_until(loop, [&] { return events.is_broken; }));
  CHECK(events.error.sys() == ECONNRESET);
  CHECK_FALSE(events.has_eof);
}

TEST_CASE("loop/stream: a reset behind bytes is not taken for an end") {
  Loop loop;
  TcpFds fds;
  auto stream = *adopt_socket(loop, fds.one);
  Recorder events;
  REQUIRE(::send(fds.other, "half a body", 11, 0) == 11);
  pollfd readable{fds.one, POLLIN, 0};
  REQUIRE(::poll(&readable, 1, 10'000) == 1);
  reset_and_close(fds.other);
  stream->start(&events);
  REQUIRE(run_until(loop, [&] { return events.is_broken || events.has_eof; }));
  CHECK(events.received == "half a body");
  CHECK(events.is_broken);
  CHECK_FALSE(events.has_eof);
}

TEST_CASE("loop/stream: reset_on_close() sends a reset") {
  Loop loop;
  TcpFds fds;
  auto stream = *adopt_socket(loop, fds.one);
  stream->reset_on_close();
  stream->close(CloseReason::kAborted);
  settle(loop);
  char byte;
  CHECK(::recv(fds.other, &byte, 1, 0) == -1);
  CHECK(errno == ECONNRESET);
  ::close(fds.other);
}

TEST_CASE("loop/stream: close() is idempotent, drops what is queued, and is the end of events") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.stream->write(chain_of(std::string(1 << 20, 'x')));
  REQUIRE(pair.stream->pending() > 0);
  uint64_t written = pair.stream->bytes_written();
  pair.send("unread");
  pair.stream->close(CloseReason::kTimeout);
  pair.stream->close(CloseReason::kDone);
  CHECK(pair.stream->is_closed());
  CHECK(pair.stream->pending() == 0);
  CHECK(pair.stream->bytes_written() == written);
  pair.stream->write(chain_of("ignored"));
  pair.stream->pause(PauseReason::owner);
  pair.stream->resume(PauseReason::owner);
  pair.stream->notify_flushed();
  pair.stream->finish();
  settle(loop);
  CHECK(events.reads == 0);
  CHECK(events.drained == 0);
  CHECK_FALSE(events.is_broken);
}

TEST_CASE("loop/stream: it may be destroyed inside each of its events") {
  SUBCASE("on_read") {
    Loop loop;
    RawPair pair(loop);
    Recorder events;
    events.when_read = [&](const Slice&) { pair.stream.reset(); };
    pair.stream->start(&events);
    pair.send(std::string(100'000, 'x'));
    REQUIRE(run_until(loop, [&] { return pair.stream == nullptr; }));
    settle(loop);
    CHECK(events.reads == 1);
  }
  SUBCASE("on_eof") {
    Loop loop;
    RawPair pair(loop);
    Recorder events;
    events.when_eof = [&] { pair.stream.reset(); };
    pair.stream->start(&events);
    pair.close_fd();
    REQUIRE(run_until(loop, [&] { return pair.stream == nullptr; }));
    settle(loop);
  }
  SUBCASE("on_drained") {
    Loop loop;
    RawPair pair(loop);
    Recorder events;
    events.when_drained = [&] { pair.stream.reset(); };
    pair.stream->start(&events);
    pair.stream->write(chain_of(std::string(1 << 20, 'x')));
    pair.stream->finish();
    REQUIRE(spin_until(loop, [&] {
      pair.receive();
      return pair.stream == nullptr;
    }));
    settle(loop);
    CHECK(events.drained == 1);
  }
  SUBCASE("on_broken") {
    Loop loop;
    RawPair pair(loop);
    Recorder events;
    events.when_broken = [&] { pair.stream.reset(); };
    pair.stream->start(&events);
    pair.close_fd();
    pair.stream->write(chain_of("x"));
    REQUIRE(run_until(loop, [&] { return pair.stream == nullptr; }));
    settle(loop);
  }
  SUBCASE("on_broken from reading") {
    Loop loop;
    TcpFds fds;
    auto stream = *adopt_socket(loop, fds.one);
    Recorder events;
    events.when_broken = [&] { stream.reset(); };
    stream->start(&events);
    stream->write(chain_of("x"));
    reset_and_close(fds.other);
    REQUIRE(run_until(loop, [&] { return stream == nullptr; }));
    settle(loop);
  }
  SUBCASE("on_read while an early answer is read") {
    Loop loop;
    RawPair pair(loop);
    Recorder events;
    events.when_read = [&](const Slice&) { pair.stream.reset(); };
    pair.stream->start(&events);
    pair.send("early");
    pair.close_fd();
    pair.stream->write(chain_of("x"));
    REQUIRE(run_until(loop, [&] { return pair.stream == nullptr; }));
    settle(loop);
    CHECK_FALSE(events.is_broken);
  }
}

TEST_CASE("loop/stream: destroyed with bytes queued and unread, the loop still ends clean") {
  Loop loop;
  RawPair pair(loop);
  Recorder events;
  pair.stream->start(&events);
  pair.send("unread");
  pair.stream->write(chain_of(std::string(1 << 20, 'x')));
  pair.stream->notify_flushed();
  pair.stream.reset();
}

TEST_CASE("loop/stream: an event may write, and set another listener") {
  Loop loop;
  RawPair pair(loop);
  Recorder first, second;
  first.when_read = [&](const Slice& bytes) {
    Chain echo;
    echo.push_back(bytes);
    pair.stream->write(std::move(echo));
    pair.stream->set_events(&second);
  };
  pair.stream->start(&first);
  pair.send("ping");
  REQUIRE(run_until(loop, [&] { return first.reads == 1; }));
  CHECK(pair.receive() == "ping");
  pair.send("pong");
  REQUIRE(run_until(loop, [&] { return second.reads == 1; }));
  CHECK(first.reads == 1);
}

TEST_CASE("loop/tcp: what is no socket is refused and closed") {
  Loop loop;
  CHECK_FALSE(adopt_socket(loop, -1));
}
