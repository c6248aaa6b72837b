#include "sluice/proxy/local_reply.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::proxy {

namespace {

struct Request {
  std::vector<http::Field> fields;
  http::RequestHead head;

  explicit Request(http::Method method = http::Method::get,
                   const std::vector<std::string_view>& accept = {}) {
    for (std::string_view value : accept) {
      fields.push_back({"Accept", value, http::FieldId::kAccept});
    }
    head.method = method;
    head.fields = http::FieldList(fields);
  }
};

std::string field(const LocalReply& reply, std::string_view name) {
  const http::Field* found = reply.head.fields.find(name);
  return found == nullptr ? "(none)" : std::string(found->value);
}

struct Fixture {
  ChunkPool pool;
  Arena arena{pool};

  LocalReply error(Errc code, const http::RequestHead* request, std::string_view next_hop = "",
                   std::string_view id = "id-1") {
    ErrorReplyInput input;
    input.error = Error(code);
    input.request = request;
    input.next_hop = next_hop;
    input.request_id = id;
    return make_error_reply(input, arena);
  }
  bool answers_json(const std::vector<std::string_view>& accept) {
    const Request request(http::Method::get, accept);
    const LocalReply reply = error(Errc::kNoRoute, &request.head);
    return field(reply, "content-type") == "application/json";
  }
};

// Framing, Content-Length and body are to say the same.
void check_agrees(const LocalReply& reply, size_t length) {
  CHECK(field(reply, "content-length") == std::to_string(length));
  CHECK(reply.body.size() == length);
  CHECK(reply.head.framing.length == length);
  CHECK(reply.head.framing.kind == (length > 0 ? http::BodyKind::length : http::BodyKind::none));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: a refused connection is a 502 that says so") {
  const Request request;
  const LocalReply reply = error(Errc::kConnectRefused, &request.head, "127.0.0.1:9001");
  CHECK(reply.head.status == 502);
  CHECK(reply.head.reason == "Bad Gateway");
  CHECK(reply.head.raw.empty());
  CHECK(field(reply, "proxy-status") ==
        "sluice; error=connection_refused; next-hop=\"127.0.0.1:9001\"; "
        "details=\"connect_refused\"");
  CHECK(field(reply, "cache-control") == "no-store");
  CHECK(field(reply, "content-type") == "text/plain; charset=utf-8");
  CHECK(field(reply, "retry-after") == "(none)");
  CHECK(field(reply, "allow") == "(none)");
  const std::string body = reply.body.to_string();
  CHECK(body ==
        "502 Bad Gateway: connect_refused — the endpoint refused the connection\n"
        "request id: id-1\n");
  check_agrees(reply, body.size());
  CHECK_FALSE(reply.close);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: a status for every error, and none without client") {
  const std::set<int> known = {0,   400, 403, 404, 405, 408, 413, 414,
                               417, 431, 500, 502, 503, 504, 505, 508};
  const Request request;
  for (size_t i = 0; i < static_cast<size_t>(Errc::kCount); ++i) {
    const Errc code = static_cast<Errc>(i);
    CAPTURE(Error(code).token());
    CHECK(known.count(status_for(code)) == 1);
    const LocalReply reply = error(code, &request.head);
    CHECK(reply.head.status == status_for(code));
    if (status_for(code) == 0) {
      CHECK(reply.body.is_empty());
      CHECK(reply.close);
      continue;
    }
    CHECK(reply.head.reason != "");
    check_agrees(reply, reply.body.size());
    CHECK(field(reply, "proxy-status") ==
          "sluice; error=" + std::string(error_row(code).proxy_status_type) + "; details=\"" +
              std::string(error_row(code).token) + "\"");
    CHECK((field(reply, "retry-after") == "1") == (status_for(code) == 503));
    CHECK((field(reply, "allow") != "(none)") == (status_for(code) == 405));
  }
  CHECK(status_for(Errc::kClientGone) == 0);
  CHECK(status_for(Errc::kHeadTimeout) == 408);
  CHECK(status_for(Errc::kQueueFull) == 503);
  CHECK(status_for(Errc::kHeadLate) == 504);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: 405 lists what is forwarded (RFC 9110 10.2.1)") {
  const Request trace(http::Method::trace), connect(http::Method::connect);
  const LocalReply reply = error(Errc::kMethodRefused, &trace.head);
  CHECK(field(reply, "allow") == "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
  CHECK_FALSE(reply.close);
  // Its client may have begun to use the tunnel that it did not get.
  CHECK(error(Errc::kMethodRefused, &connect.head).close);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: Retry-After is what the caller says") {
  const Request request;
  ErrorReplyInput input;
  input.error = Errc::kQueueFull;
  input.request = &request.head;
  input.retry_after_s = 17;
  CHECK(field(make_error_reply(input, arena), "retry-after") == "17");
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: close after what leaves the framing unsure") {
  const std::set<Errc> closing = {
      Errc::kNone,          Errc::kBadRequest,    Errc::kBadFraming,         Errc::kBadChunk,
      Errc::kBadHost,       Errc::kBadTarget,     Errc::kBadVersion,         Errc::kHeadTooLarge,
      Errc::kTooManyFields, Errc::kTargetTooLong, Errc::kBodyTooLarge,       Errc::kHeadTimeout,
      Errc::kBodyTimeout,   Errc::kClientGone,    Errc::kTooManyConnections, Errc::kClientStalled,
      Errc::kDraining,      Errc::kCancelled,
  };
  Request request, with_body(http::Method::post);
  with_body.head.framing = {http::BodyKind::length, 5};
  for (size_t i = 0; i < static_cast<size_t>(Errc::kCount); ++i) {
    const Errc code = static_cast<Errc>(i);
    CAPTURE(Error(code).token());
    CHECK(error(code, &request.head).close == (closing.count(code) == 1));
    CHECK(error(code, nullptr).close);
  }
  CHECK(error(Errc::kExpectationFailed, &with_body.head).close);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: an unparsable request gets text") {
  const LocalReply reply = error(Errc::kBadRequest, nullptr, "", "");
  CHECK(reply.head.status == 400);
  CHECK(reply.body.to_string() ==
        "400 Bad Request: bad_request — the request line or a field line is malformed\n");
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: a client learns the details of its own mistakes") {
  const Request json(http::Method::get, {"application/json"});
  ErrorReplyInput input;
  input.error = Error(Errc::kBadRequest, "bare LF in a field line");
  CHECK(make_error_reply(input, arena)
            .body.to_string()
            .find("malformed: bare LF in a field line\n") != std::string::npos);
  input.request = &json.head;
  CHECK(make_error_reply(input, arena)
            .body.to_string()
            .find("malformed: bare LF in a field line\"") != std::string::npos);
  input.error = Error(Errc::kBadResponse, "secret of the endpoint");
  CHECK(make_error_reply(input, arena).body.to_string().find("secret") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: HEAD gets the length and no body (RFC 9110 9.3.2)") {
  const Request get, head(http::Method::head);
  const LocalReply to_get = error(Errc::kNoRoute, &get.head);
  const LocalReply to_head = error(Errc::kNoRoute, &head.head);
  CHECK(field(to_head, "content-length") == std::to_string(to_get.body.size()));
  CHECK(to_head.body.is_empty());
  CHECK(to_head.head.framing.kind == http::BodyKind::none);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: JSON has status, reason, message and request id") {
  const Request request(http::Method::get, {"application/json"});
  const LocalReply reply = error(Errc::kQueueFull, &request.head, "", "a\"b\xff");
  check_agrees(reply, reply.body.size());
  const auto body = nlohmann::json::parse(reply.body.to_string());
  CHECK(body.size() == 4);
  CHECK(body["status"] == 503);
  CHECK(body["reason"] == "queue_full");
  CHECK(body["message"] == "every endpoint is at max_in_flight and the queue is full");
  CHECK(body["request_id"] == "a\"b\xef\xbf\xbd");
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: JSON when Accept prefers it (RFC 9110 12.5.1)") {
  struct Row {
    std::vector<std::string_view> accept;
    bool json;
  };
  const Row rows[] = {
      {{}, false},
      {{""}, false},
      {{"*/*"}, false},
      {{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
      {{"application/json"}, true},
      {{"Application/JSON"}, true},
      {{"application/problem+json"}, true},
      {{"application/json;charset=utf-8"}, true},
      {{"application/*"}, true},
      {{"application/json, text/plain, */*"}, true},
      {{"text/plain, application/json"}, false},
      {{"text/plain;q=0.5, application/json"}, true},
      {{"text/plain, application/json;q=0.5"}, false},
      {{"text/*, application/json"}, true},
      {{"application/json;q=0.1, */*;q=0.2"}, false},
      {{"*/*;q=0.1, application/json;q=0.2"}, true},
      {{"application/json;q=0"}, false},
      {{"application/json;q=0, */*"}, false},
      {{"text/plain;q=0, */*"}, true},
      {{"image/png"}, false},
      {{"text/html", "application/json;q=0.9"}, false},
      {{"text/html;q=0.8", "application/json;Q=0.9"}, true},
      {{"application/json;q=1.000"}, true},
      {{"application/json;q=7"}, false},
      {{"application/json;q=0.x"}, false},
      {{"application/json;q="}, false},
      {{"application/json;v=1;q=0.3, text/plain;q=0.4"}, false},
      {{"application/json ; q=0.5 , text/plain ; q=0.4"}, true},
      {{",,;q=1,;"}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.accept.empty() ? std::string_view("(none)") : row.accept[0]);
    CHECK(answers_json(row.accept) == row.json);
  }
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: next-hop is a structured string (RFC 8941 3.3.3)") {
  const Request request;
  const LocalReply reply = error(Errc::kHeadLate, &request.head, "a\"b\\c\r\n\xc3\xbc");
  CHECK(field(reply, "proxy-status") ==
        "sluice; error=http_response_timeout; next-hop=\"a\\\"b\\\\c????\"; "
        "details=\"header_timeout\"");
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: a redirect carries the location as written") {
  const Request get, head(http::Method::head);
  for (uint16_t status : {301, 302, 303, 307, 308}) {
    const config::Redirect redirect{status, "https://shop.example/new"};
    const LocalReply reply = make_redirect(redirect, get.head, arena);
    CHECK(reply.head.status == status);
    CHECK(field(reply, "location") == "https://shop.example/new");
    CHECK_FALSE(reply.close);
    check_agrees(reply, reply.body.size());
    CHECK(reply.body.to_string().find("https://shop.example/new\n") != std::string::npos);
    CHECK(make_redirect(redirect, head.head, arena).body.is_empty());
  }
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: a fixed response is what was configured") {
  const Request get, head(http::Method::head);
  const config::Respond respond{200, "up", "text/plain"};
  const LocalReply reply = make_fixed(respond, get.head, arena);
  CHECK(reply.head.status == 200);
  CHECK(reply.head.reason == "OK");
  CHECK(field(reply, "content-type") == "text/plain");
  CHECK(reply.body.to_string() == "up");
  check_agrees(reply, 2);
  const LocalReply to_head = make_fixed(respond, head.head, arena);
  CHECK(field(to_head, "content-length") == "2");
  CHECK(to_head.body.is_empty());
  CHECK(to_head.head.framing.kind == http::BodyKind::none);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: a fixed response longer than a chunk is whole") {
  const Request get;
  const config::Respond respond{200, std::string(3 * kChunkSize + 1, 'x'), "text/plain"};
  const LocalReply reply = make_fixed(respond, get.head, arena);
  check_agrees(reply, respond.body.size());
  CHECK(reply.body.to_string() == respond.body);
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: statuses without content stay without") {
  struct Row {
    uint16_t status;
    std::string_view body, length, type;
  };
  const Request get;
  for (const Row& row : {Row{204, "x", "(none)", "(none)"}, Row{304, "x", "(none)", "(none)"},
                         Row{205, "x", "0", "(none)"}, Row{200, "", "0", "(none)"},
                         Row{404, "x", "1", "text/plain"}}) {
    CAPTURE(row.status);
    const config::Respond respond{row.status, std::string(row.body), "text/plain"};
    const LocalReply reply = make_fixed(respond, get.head, arena);
    CHECK(field(reply, "content-length") == row.length);
    CHECK(field(reply, "content-type") == row.type);
    CHECK(reply.body.size() == (row.length == "1" ? 1 : 0));
  }
}

TEST_CASE_FIXTURE(Fixture, "proxy/local_reply: no answer tells a version or a path of ours") {
  const Request request;
  for (size_t i = 1; i < static_cast<size_t>(Errc::kCount); ++i) {
    const LocalReply reply = error(static_cast<Errc>(i), &request.head);
    CHECK(field(reply, "server") == "(none)");
    CHECK(reply.body.to_string().find('/') == std::string::npos);
  }
}

TEST_CASE("proxy/local_reply: docs/reasons.md is the table of reasons") {
  const char* root = std::getenv("SLUICE_ROOT");
  const std::string path = std::string(root == nullptr ? "." : root) + "/docs/reasons.md";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string made = reasons_markdown();
  INFO("should be:\n", made);
  CHECK(text.str() == made);
}

}  // namespace sluice::proxy
