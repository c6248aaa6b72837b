#include "sluice/proxy/relay.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "sluice/loop/stream.h"

namespace sluice::proxy {
namespace {

class FakeClient final : public ClientStream {
 public:
  ClientInfo info;
  Chain in;
  bool complete = false, paused = false, ended = false;
  http::FieldList trailer_fields;
  std::string sent;
  size_t pending_bytes = 0;

  const ClientInfo& client() const noexcept override { return info; }
  Chain& body() noexcept override { return in; }
  bool is_body_complete() const noexcept override { return complete; }
  bool is_body_held() const noexcept override { return false; }
  const http::FieldList& trailers() const noexcept override { return trailer_fields; }
  Error error() const noexcept override { return {}; }
  void pause_body() noexcept override { paused = true; }
  void resume_body() noexcept override { paused = false; }
  void send_interim(const http::ResponseHead&) override {}
  void send_head(const http::ResponseHead&, const http::ResponseForwarding&) override {}
  void send_body(Chain&& bytes) override { sent += std::exchange(bytes, Chain()).to_string(); }
  void send_end(const http::FieldList*) override { ended = true; }
  void flush() noexcept override {}
  size_t pending() const noexcept override { return pending_bytes; }
  void end() noexcept override {}
  void abort(CloseReason) noexcept override {}
};

class FakeUpstream final : public upstream::UpstreamStream {
 public:
  Chain in;
  std::string sent;
  bool complete = false, ended = false, had_trailers = false;
  size_t pending_bytes = 0;
  http::FieldList trailer_fields;

  void begin(upstream::UpstreamListener*, Arena*) noexcept override {}
  void send_head(const http::RequestHead&, const http::RequestForwarding&) override {}
  void send_body(Chain&& bytes) override { sent += std::exchange(bytes, Chain()).to_string(); }
  void send_end(const http::FieldList* trailers) override {
    ended = true;
    had_trailers = trailers != nullptr;
  }
  void flush() noexcept override {}
  size_t pending() const noexcept override { return pending_bytes; }
  const http::ResponseHead* interim() const noexcept override { return nullptr; }
  void pop_interim() noexcept override {}
  const http::ResponseHead* head() const noexcept override { return nullptr; }
  Chain& body() noexcept override { return in; }
  bool is_complete() const noexcept override { return complete; }
  const http::FieldList& trailers() const noexcept override { return trailer_fields; }
  Error error() const noexcept override { return {}; }
  bool has_response_bytes() const noexcept override { return true; }
  void pause_body() noexcept override {}
  void resume_body() noexcept override {}
  bool is_paused() const noexcept override { return false; }
  void expect_by(TimePoint, Errc) noexcept override {}
  bool is_reused() const noexcept override { return false; }
  upstream::Endpoint& endpoint() noexcept override { std::abort(); }
  void release() noexcept override {}
  void abandon(CloseReason) noexcept override {}
};

}  // namespace

TEST_CASE("proxy/relay: request bytes go on, are remembered for a retry, and the end follows") {
  FakeClient client;
  FakeUpstream upstream;
  ReplayBody replay;
  client.in.push_back(Slice::from_static("abc"));
  Relayed first = relay_request(client, upstream, replay);
  CHECK(first.bytes == 3);
  CHECK_FALSE(first.ended);
  client.in.push_back(Slice::from_static("def"));
  client.complete = true;
  Relayed second = relay_request(client, upstream, replay);
  CHECK(second.ended);
  CHECK(upstream.sent == "abcdef");
  CHECK(upstream.ended);
  CHECK_FALSE(upstream.had_trailers);
  CHECK(replay.replay().to_string() == "abcdef");
}

TEST_CASE(
    "proxy/relay: the client is paused above the high watermark and resumed below the low one") {
  FakeClient client;
  FakeUpstream upstream;
  ReplayBody replay;
  struct Row {
    size_t pending;
    bool paused;
  };
  for (Row row :
       {Row{0, false}, Row{loop::kHighWatermark, false}, Row{loop::kHighWatermark + 1, true},
        Row{loop::kLowWatermark, true}, Row{loop::kLowWatermark - 1, false}}) {
    upstream.pending_bytes = row.pending;
    relay_request(client, upstream, replay);
    CAPTURE(row.pending);
    CHECK(client.paused == row.paused);
  }
}

TEST_CASE("proxy/relay: trailers of the request go on") {
  FakeClient client;
  FakeUpstream upstream;
  ReplayBody replay;
  http::Field field{"X-Sum", "1", http::FieldId::kOther};
  client.trailer_fields = http::FieldList({&field, 1});
  client.complete = true;
  relay_request(client, upstream, replay);
  CHECK(upstream.had_trailers);
}

TEST_CASE("proxy/relay: the response's end is passed on only when it is complete") {
  FakeClient client;
  FakeUpstream upstream;
  upstream.in.push_back(Slice::from_static("12345"));
  CHECK(relay_response(upstream, client).bytes == 5);
  CHECK_FALSE(client.ended);
  upstream.complete = true;
  CHECK(relay_response(upstream, client).ended);
  CHECK(client.ended);
  CHECK(client.sent == "12345");
}

}  // namespace sluice::proxy
