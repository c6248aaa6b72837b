// What is sent of a stored response, whole or as it grows.
#include "sluice/proxy/entry_sender.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "sluice/loop/stream.h"

namespace sluice::proxy {
namespace {

class FakeClient final : public ClientStream {
 public:
  ClientInfo info;
  Chain none;
  http::FieldList no_fields;
  int status = 0;
  http::ResponseForwarding how;
  std::string sent;
  bool ended = false;
  size_t pending_bytes = 0;

  const ClientInfo& client() const noexcept override { return info; }
  Chain& body() noexcept override { return none; }
  bool is_body_complete() const noexcept override { return true; }
  bool is_body_held() const noexcept override { return false; }
  const http::FieldList& trailers() const noexcept override { return no_fields; }
  Error error() const noexcept override { return {}; }
  void pause_body() noexcept override {}
  void resume_body() noexcept override {}
  void send_interim(const http::ResponseHead&) override {}
  void send_head(const http::ResponseHead& head, const http::ResponseForwarding& its) override {
    status = head.status;
    how = its;
  }
  void send_body(Chain&& bytes) override { sent += std::exchange(bytes, Chain()).to_string(); }
  void send_end(const http::FieldList*) override { ended = true; }
  void flush() noexcept override {}
  size_t pending() const noexcept override { return pending_bytes; }
  void end() noexcept override {}
  void abort(CloseReason) noexcept override {}
};

// A stored response under way, and one request for it.
struct Case {
  using Progress = EntrySender::Progress;
  explicit Case(std::optional<uint64_t> length, const std::string& range_value = {})
      : body(cache::Body::make(budget, length)), range(range_value) {
    REQUIRE(body);
    const cache::EntryPart part{0, body};
    cache::EntrySpec spec;
    spec.key = {"http://a:80/", "http://a:80/", {}};
    spec.status = 200;
    spec.reason = "OK";
    spec.complete_length = length;
    spec.parts = {&part, 1};
    entry = cache::Entry::make(budget, spec);
    REQUIRE(entry);
    request.method = http::Method::get;
    if (range.empty()) return;
    fields.push_back({"Range", range, http::FieldId::kRange});
    request.fields = http::FieldList(fields);
  }
  void add(const std::string& bytes) { REQUIRE(body->append(bytes)); }
  int begin() {
    sender.emplace(entry, request, arena);
    return sender->send_head({}, 0, client);
  }
  Progress go_on() { return sender->send_body(client, bytes); }

  cache::MemoryBudget budget{64 << 20};
  ChunkPool pool;
  Arena arena{pool};
  Ref<cache::Body> body;
  Ref<cache::Entry> entry;
  std::string range;
  std::vector<http::Field> fields;
  http::RequestHead request;
  FakeClient client;
  std::optional<EntrySender> sender;
  uint64_t bytes = 0;
};

using Progress = EntrySender::Progress;

}  // namespace

TEST_CASE("proxy/entry_sender: a body is sent as it grows, to its end") {
  for (const std::optional<uint64_t> length :
       {std::optional<uint64_t>(), std::optional<uint64_t>(10)}) {
    Case test(length);
    CHECK(test.begin() == 200);
    CHECK(test.client.how.framing.kind ==
          (length ? http::BodyKind::length : http::BodyKind::chunked));
    CHECK(test.go_on() == Progress::body_grows);
    test.add("01234");
    CHECK(test.go_on() == Progress::body_grows);
    CHECK(test.go_on() == Progress::body_grows);
    CHECK(test.client.sent == "01234");
    test.add("56789");
    CHECK(test.go_on() == Progress::body_grows);  // the end is not told yet
    REQUIRE(test.body->complete());
    CHECK_FALSE(test.client.ended);
    CHECK(test.go_on() == Progress::all_sent);
    CHECK(test.client.sent == "0123456789");
    CHECK(test.client.ended);
    CHECK(test.bytes == 10);
  }
}

TEST_CASE("proxy/entry_sender: a body that breaks off is sent as far as it came, without an end") {
  Case test(std::nullopt);
  test.begin();
  test.add("0123");
  test.body->fail();
  CHECK(test.go_on() == Progress::body_broken);
  CHECK(test.client.sent == "0123");
  CHECK_FALSE(test.client.ended);
}

TEST_CASE("proxy/entry_sender: a range waits until the body has grown to it, and no longer") {
  Case test(100, "bytes=50-59");
  test.add(std::string(20, 'a'));
  CHECK(test.begin() == 206);
  CHECK(test.client.how.framing.length == 10);
  CHECK(test.go_on() == Progress::body_grows);  // begins beyond what is there
  CHECK(test.client.sent.empty());
  test.add(std::string(35, 'b'));
  CHECK(test.go_on() == Progress::body_grows);
  CHECK(test.client.sent == "bbbbb");
  test.add(std::string(10, 'c'));
  CHECK(test.go_on() == Progress::all_sent);  // though the body still grows
  CHECK(test.client.sent == "bbbbbccccc");
  CHECK(test.client.ended);
  test.body->fail();
}

TEST_CASE("proxy/entry_sender: a range that is here is sent although the body broke off later") {
  Case test(100, "bytes=0-9");
  test.add(std::string(20, 'a'));
  test.body->fail();
  CHECK(test.begin() == 206);
  CHECK(test.go_on() == Progress::all_sent);
  CHECK(test.client.sent == std::string(10, 'a'));
}

TEST_CASE("proxy/entry_sender: a range beyond where the body broke off is broken") {
  Case test(100, "bytes=50-59");
  test.add(std::string(20, 'a'));
  test.body->fail();
  CHECK(test.begin() == 206);
  CHECK(test.go_on() == Progress::body_broken);
}

TEST_CASE("proxy/entry_sender: several ranges of a growing body come in the order of the request") {
  Case test(100, "bytes=80-84,0-4");
  test.add(std::string(20, 'a'));
  CHECK(test.begin() == 206);
  CHECK(test.go_on() == Progress::body_grows);
  test.add(std::string(80, 'b'));
  REQUIRE(test.body->complete());
  CHECK(test.go_on() == Progress::all_sent);
  const std::string& sent = test.client.sent;
  CHECK(sent.size() == test.client.how.framing.length);
  CHECK(test.bytes == sent.size());
  const size_t later = sent.find("Content-Range: bytes 80-84/100\r\n\r\nbbbbb\r\n");
  const size_t first = sent.find("Content-Range: bytes 0-4/100\r\n\r\naaaaa\r\n");
  REQUIRE(later != std::string::npos);
  REQUIRE(first != std::string::npos);
  CHECK(later < first);
}

TEST_CASE("proxy/entry_sender: without a known length ranges are not looked for; 416 needs one") {
  Case unknown(std::nullopt, "bytes=0-1");
  CHECK(unknown.begin() == 200);
  unknown.body->fail();
  Case beyond(10, "bytes=10-");
  CHECK(beyond.begin() == 416);
  CHECK(beyond.go_on() == Progress::all_sent);
  CHECK(beyond.client.sent.empty());
  CHECK(beyond.client.ended);
  beyond.body->fail();
}

TEST_CASE("proxy/entry_sender: HEAD is answered at once, however little of the body is there") {
  Case test(100);
  test.request.method = http::Method::head;
  CHECK(test.begin() == 200);
  CHECK(test.client.how.keep_length);
  CHECK(test.go_on() == Progress::all_sent);
  CHECK(test.client.sent.empty());
  test.body->fail();
}

TEST_CASE("proxy/entry_sender: a client that does not read is given no more") {
  Case test(1'000'000);
  test.add(std::string(1'000'000, 'a'));
  REQUIRE(test.body->complete());
  test.begin();
  test.client.pending_bytes = loop::kHighWatermark + 1;
  CHECK(test.go_on() == Progress::client_slow);
  CHECK(test.client.sent.empty());
  test.client.pending_bytes = 0;
  CHECK(test.go_on() == Progress::all_sent);
  CHECK(test.client.sent.size() == 1'000'000);
}

// Parts of an incomplete response --------------------------------------------------------------

namespace {

// "abcdefghij" of which only 2-4 and 4-6 (overlapping) and 8-9 are there.
struct Parts : Case {
  explicit Parts(const std::string& range_value) : Case(10, range_value) {
    body->fail();
    const cache::EntryPart parts[] = {{2, cache::Body::copy_of(budget, "cdXX")},
                                      {4, cache::Body::copy_of(budget, "efg")},
                                      {8, cache::Body::copy_of(budget, "ij")}};
    cache::EntrySpec spec = entry->spec();
    spec.parts = parts;
    entry = cache::Entry::make(budget, spec);
    REQUIRE(entry);
  }
  EntrySender::Lack lack() { return EntrySender::lack_of(*entry, request, 0, arena); }
};

}  // namespace

TEST_CASE("proxy/entry_sender: ranges within stored parts are sent, across their seams") {
  struct Row {
    const char* range;
    const char* bytes;
  };
  for (const Row& row : {Row{"bytes=2-6", "cdefg"}, Row{"bytes=3-4", "de"}, Row{"bytes=5-5", "f"},
                         Row{"bytes=8-", "ij"}, Row{"bytes=-2", "ij"}, Row{"bytes=9-99", "j"}}) {
    CAPTURE(row.range);
    Parts test(row.range);
    CHECK(test.lack() == EntrySender::Lack::none);
    CHECK(test.begin() == 206);
    CHECK(test.go_on() == Progress::all_sent);
    CHECK(test.client.sent == row.bytes);
    CHECK(test.client.ended);
  }
}

TEST_CASE("proxy/entry_sender: several ranges are sent when all of them are there") {
  Parts there("bytes=2-3,8-9");
  CHECK(there.lack() == EntrySender::Lack::none);
  CHECK(there.begin() == 206);
  CHECK(there.go_on() == Progress::all_sent);
  CHECK(there.client.sent.find("\r\n\r\ncd\r\n") != std::string::npos);
  CHECK(there.client.sent.find("\r\n\r\nij\r\n") != std::string::npos);
  CHECK(Parts("bytes=2-3,7-9").lack() == EntrySender::Lack::ranges);
}

TEST_CASE("proxy/entry_sender: an incomplete entry is never the whole (RFC 9111 3.3)") {
  CHECK(Parts("").lack() == EntrySender::Lack::whole);
  CHECK(Parts("lines=1-2").lack() == EntrySender::Lack::whole);
  CHECK(Parts("bytes=0-3").lack() == EntrySender::Lack::ranges);
  CHECK(Parts("bytes=5-7").lack() == EntrySender::Lack::ranges);
  CHECK(Parts("bytes=10-").lack() == EntrySender::Lack::none);  // 416 takes no bytes
  Parts head("");
  head.request.method = http::Method::head;
  CHECK(head.lack() == EntrySender::Lack::none);
}

TEST_CASE("proxy/entry_sender: stored parts and one that still comes are sent as one body") {
  Case test(10);
  test.body->fail();
  const Ref<cache::Body> growing = cache::Body::make(test.budget, 4);
  const cache::EntryPart parts[] = {{0, cache::Body::copy_of(test.budget, "abc")},
                                    {3, growing},
                                    {7, cache::Body::copy_of(test.budget, "hij")}};
  cache::EntrySpec spec = test.entry->spec();
  spec.parts = parts;
  test.entry = cache::Entry::make(test.budget, spec);
  CHECK(EntrySender::lack_of(*test.entry, test.request, 0, test.arena) == EntrySender::Lack::none);
  CHECK(test.begin() == 200);
  CHECK(test.client.how.framing.length == 10);
  CHECK(test.go_on() == Progress::body_grows);
  CHECK(test.client.sent == "abc");
  CHECK(growing->append("de"));
  CHECK(test.go_on() == Progress::body_grows);
  CHECK(growing->append("fg"));
  CHECK(test.go_on() == Progress::all_sent);
  CHECK(test.client.sent == "abcdefghij");
  growing->complete();
}

}  // namespace sluice::proxy
