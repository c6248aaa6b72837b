#include "sluice/http/forwarding.h"

#include <string>

#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::test;

namespace {

// As an exchange would fill it in, with little of our own, so that tests show what matters.
RequestForwarding plain(const RequestHead& head) {
  RequestForwarding how;
  how.target = head.path;
  how.host = head.authority;
  how.framing = head.framing;
  how.client_ip = "192.0.2.1";
  how.scheme = "http";
  how.request_id = "id-1";
  return how;
}

std::string forwarded(Memory& memory, const RequestHead& head, const RequestForwarding& how) {
  return memory.written([&](ChainWriter& out) { write_request_head(head, how, out); });
}

const std::string kOurs =
    "Via: 1.1 sluice\r\n"
    "X-Forwarded-For: 192.0.2.1\r\n"
    "X-Forwarded-Proto: http\r\n"
    "X-Forwarded-Host: a\r\n"
    "X-Request-Id: id-1\r\n";

// What becomes of `lines` in a GET with "Host: a"; the lines that are always ours are cut off.
std::string kept_of(std::string_view lines, void (*change)(RequestForwarding&) = nullptr) {
  Memory memory;
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n";
  const auto request = memory.request(head);
  REQUIRE(request);
  RequestForwarding how = plain(*request);
  if (change != nullptr) change(how);
  std::string text = forwarded(memory, *request, how);
  const std::string_view start = "GET / HTTP/1.1\r\nHost: a\r\n";
  REQUIRE(text.starts_with(start));
  REQUIRE(text.ends_with("\r\n\r\n"));
  text = text.substr(start.size(), text.size() - start.size() - 2);
  const size_t ours = text.find(kOurs);
  if (ours != std::string::npos) text.replace(ours, kOurs.size(), "|");
  return text;
}

}  // namespace

TEST_CASE("http/forwarding: a request as it goes to the endpoint, byte for byte") {
  Memory memory;
  const auto request = memory.request(
      "POST /api/x?q HTTP/1.1\r\n"
      "host:a\r\n"
      "User-Agent:  curl \r\n"
      "Connection: keep-alive\r\n"
      "X-Empty:\r\n"
      "content-length: 5\r\n"
      "Accept: */*\r\n"
      "\r\n");
  REQUIRE(request);
  RequestForwarding how = plain(*request);
  CHECK(forwarded(memory, *request, how) ==
        "POST /api/x?q HTTP/1.1\r\n"
        "host:a\r\n"
        "User-Agent:  curl \r\n"
        "X-Empty:\r\n"
        "content-length: 5\r\n"
        "Accept: */*\r\n" +
            kOurs + "\r\n");
  how.target = "/x?q";
  how.host = "b:81";
  how.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  how.framing = {BodyKind::chunked, 0};
  how.close = true;
  CHECK(forwarded(memory, *request, how) ==
        "POST /x?q HTTP/1.1\r\n"
        "Host: b:81\r\n"
        "User-Agent:  curl \r\n"
        "X-Empty:\r\n"
        "Accept: */*\r\n" +
            kOurs +
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
            "Connection: close\r\n"
            "Transfer-Encoding: chunked\r\n"
            "\r\n");
}

TEST_CASE("http/forwarding: an HTTP/1.0 request without Host becomes 1.1 with Host first") {
  Memory memory;
  const auto request = memory.request("GET /a HTTP/1.0\r\nAccept: */*\r\n\r\n");
  REQUIRE(request);
  RequestForwarding how = plain(*request);
  how.host = "pool.example";
  CHECK(forwarded(memory, *request, how) ==
        "GET /a HTTP/1.1\r\nHost: pool.example\r\nAccept: */*\r\nVia: 1.0 sluice\r\n"
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Request-Id: id-1\r\n\r\n");
}

TEST_CASE("http/forwarding: an absolute-form authority replaces Host in place (RFC 9112 3.2.2)") {
  Memory memory;
  const auto request = memory.request("GET http://b/p HTTP/1.1\r\nA: 1\r\nHost: a\r\nB: 2\r\n\r\n");
  REQUIRE(request);
  const std::string text = forwarded(memory, *request, plain(*request));
  CHECK(text.starts_with("GET /p HTTP/1.1\r\nA: 1\r\nHost: b\r\nB: 2\r\nVia: 1.1 sluice\r\n"));
  CHECK(text.find("X-Forwarded-Host: b\r\n") != std::string::npos);
}

TEST_CASE(
    "http/forwarding: hop-by-hop fields and what Connection names stay here (RFC 9110 7.6.1)") {
  struct Row {
    std::string_view came, kept;
  };
  const Row rows[] = {
      {"A: b\r\n", "A: b\r\n|"},
      {"Keep-Alive: 5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n", "|"},
      {"Connection: close\r\nA: b\r\n", "A: b\r\n|"},
      {"A: b\r\nConnection: x-own, a\r\nX-Own: c\r\nD: e\r\n", "D: e\r\n|"},
      {"A: b\r\nConnection: x\r\nC: d\r\nConnection: c\r\n", "A: b\r\n|"},
      {"Connection: authorization, cookie\r\nAuthorization: x\r\nCookie: y\r\n", "|"},
      {"Connection: close, Host, Via\r\nVia: 1.1 x\r\n", "Via: 1.1 x\r\n|"},
      {"Connection: content-length\r\nContent-Length: 3\r\n", "Content-Length: 3\r\n|"},
      {"Connection: x-forwarded-for, x-request-id, traceparent\r\ntraceparent: x\r\n",
       "traceparent: x\r\n|"},
      {"TE: gzip\r\n", "|"},
      {"TE: trailers\r\nConnection: TE\r\n", "|TE: trailers\r\nConnection: TE\r\n"},
      {"TE: gzip;q=0.5, Trailers\r\n", "|TE: trailers\r\nConnection: TE\r\n"},
      {"Trailer: Digest\r\n", "Trailer: Digest\r\n|"},
      {"Expect: 100-continue\r\n", "|"},
      {"Proxy-Authorization: x\r\n", "Proxy-Authorization: x\r\n|"},
      {"Max-Forwards: 3\r\n", "Max-Forwards: 3\r\n|"},
      {"Via: 1.0 x, 1.1 y\r\nA: b\r\n", "Via: 1.0 x, 1.1 y\r\nA: b\r\n|"},
      {"Transfer-Encoding: chunked\r\n", "|Transfer-Encoding: chunked\r\n"},
      {"Content-Length: 0\r\n", "|Content-Length: 0\r\n"},
      {"Content-Length: 007\r\n", "|Content-Length: 7\r\n"},
      {"A: b\r\nContent-Length: 7\r\nC: d\r\n", "A: b\r\nContent-Length: 7\r\nC: d\r\n|"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.came);
    CHECK(kept_of(row.came) == row.kept);
  }
}

TEST_CASE("http/forwarding: options of the sending") {
  CHECK(kept_of("Expect: 100-continue\r\n", [](RequestForwarding& how) {
          how.pass_expect = true;
        }) == "Expect: 100-continue\r\n|");
  CHECK(kept_of("TE: trailers\r\n", [](RequestForwarding& how) { how.pass_te_trailers = false; }) ==
        "|");
  CHECK(kept_of("TE: trailers\r\n", [](RequestForwarding& how) { how.close = true; }) ==
        "|TE: trailers\r\nConnection: close, TE\r\n");
  CHECK(kept_of("A: b\r\nMax-Forwards: 3\r\nmax-forwards: 9\r\nC: d\r\n",
                [](RequestForwarding& how) { how.max_forwards = 2; }) ==
        "A: b\r\nMax-Forwards: 2\r\nC: d\r\n|");
  CHECK(kept_of("A: b\r\n", [](RequestForwarding& how) { how.max_forwards = 2; }) == "A: b\r\n|");
  CHECK(kept_of("Content-Length: 3\r\n", [](RequestForwarding& how) {
          how.framing = {BodyKind::length, 4};
        }) == "|Content-Length: 4\r\n");
}

TEST_CASE("http/forwarding: methods that expect a body say that there is none (RFC 9110 8.6)") {
  Memory memory;
  for (std::string_view method : {"POST", "PUT", "PATCH", "GET", "DELETE", "PURGE"}) {
    const std::string head = std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    const auto request = memory.request(head);
    REQUIRE(request);
    const bool said =
        forwarded(memory, *request, plain(*request)).find("Content-Length: 0") != std::string::npos;
    CHECK(said == (method.starts_with("P") && method != "PURGE"));
  }
}

TEST_CASE("http/forwarding: X-Forwarded-* of an untrusted client are dropped") {
  CHECK(kept_of("X-Forwarded-For: 1.1.1.1\r\nA: b\r\nX-Forwarded-Proto: https\r\n"
                "X-Forwarded-Host: evil\r\nForwarded: for=x\r\nX-Forwarded-Port: 1\r\n") ==
        "A: b\r\n|");
}

TEST_CASE("http/forwarding: X-Forwarded-* of a trusted client are continued") {
  const auto trust = [](RequestForwarding& how) { how.trusted_client = true; };
  CHECK(kept_of("X-Forwarded-For: 1.1.1.1\r\nA: b\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n"
                "X-Forwarded-For:\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\n"
                "X-Forwarded-Port: 1\r\n",
                trust) ==
        "A: b\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\nX-Forwarded-Port: 1\r\n"
        "Via: 1.1 sluice\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1\r\n"
        "X-Forwarded-Host: a\r\nX-Request-Id: id-1\r\n");
  CHECK(kept_of("X-Forwarded-Host: b\r\n", trust) ==
        "X-Forwarded-Host: b\r\nVia: 1.1 sluice\r\nX-Forwarded-For: 192.0.2.1\r\n"
        "X-Forwarded-Proto: http\r\nX-Request-Id: id-1\r\n");
  CHECK(kept_of("", trust) == "|");
}

TEST_CASE("http/forwarding: request id and trace context") {
  CHECK(kept_of("X-Request-Id: other\r\nA: b\r\n") == "A: b\r\n|");
  CHECK(kept_of("X-Request-Id: id-1\r\nx-request-id: id-1\r\nA: b\r\n") ==
        "X-Request-Id: id-1\r\nA: b\r\nVia: 1.1 sluice\r\nX-Forwarded-For: 192.0.2.1\r\n"
        "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n");
  const std::string_view came = "traceparent: old\r\ntracestate: s\r\n";
  CHECK(kept_of(came) == std::string(came) + "|");
  CHECK(kept_of(came, [](RequestForwarding& how) { how.traceparent = "old"; }) ==
        std::string(came) + "|");
  CHECK(kept_of(came, [](RequestForwarding& how) { how.traceparent = "new"; }) ==
        "|traceparent: new\r\n");
}

TEST_CASE("http/forwarding: edits of a route have the last word, but for framing and hops") {
  FieldEdits edits;
  edits.set = {{"x-set", "new"}, {"content-length", "9"}, {"x-forwarded-proto", "https"}};
  edits.add = {{"X-Add", "1"}, {"Transfer-Encoding", "gzip"}, {"X-Add", "2"}};
  edits.remove = {"x-gone",           "via",          "host",       "x-forwarded-for",
                  "x-forwarded-host", "x-request-id", "traceparent"};
  Memory memory;
  const auto request = memory.request(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Set: old\r\nX-Gone: 1\r\nA: b\r\nX-SET: old\r\nVia: 1.1 x\r\n"
      "X-Add: 0\r\n\r\n");
  REQUIRE(request);
  RequestForwarding how = plain(*request);
  how.traceparent = "t";
  how.edits = &edits;
  CHECK(forwarded(memory, *request, how) ==
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nX-Add: 0\r\nx-set: new\r\n"
        "x-forwarded-proto: https\r\nX-Add: 1\r\nX-Add: 2\r\n\r\n");
  edits = {};
  edits.set = {{"host", "other.example"}};
  CHECK(forwarded(memory, *request, how)
            .starts_with("GET / HTTP/1.1\r\nHost: other.example\r\nX-Set"));
}

TEST_CASE("http/forwarding: a head without raw bytes is composed") {
  Memory memory;
  const Field fields[] = {{"accept", "*/*", FieldId::kAccept},
                          {"te", "trailers", FieldId::kTe},
                          {"content-length", "3", FieldId::kContentLength}};
  RequestHead head;
  head.method = Method::put;
  head.method_text = "PUT";
  head.path = "/p";
  head.authority = "a";
  head.fields = FieldList(fields);
  head.framing = {BodyKind::length, 3};
  CHECK(forwarded(memory, head, plain(head)) ==
        "PUT /p HTTP/1.1\r\nHost: a\r\naccept: */*\r\ncontent-length: 3\r\nVia: 2 sluice\r\n"
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
        "X-Request-Id: id-1\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
}

TEST_CASE("http/forwarding: fields of the caller's own may stand among those that came") {
  Memory memory;
  auto request = memory.request("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n");
  REQUIRE(request);
  const Field fields[] = {request->fields[0],
                          request->fields[1],
                          {"If-None-Match", "\"x\"", FieldId::kIfNoneMatch},
                          request->fields[3]};
  request->fields = FieldList(fields);
  CHECK(forwarded(memory, *request, plain(*request)) ==
        "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nIf-None-Match: \"x\"\r\nC: 3\r\n" + kOurs + "\r\n");
}

TEST_CASE("http/forwarding: a head larger than a chunk is written in one piece") {
  Memory memory;
  const std::string value(20000, 'v');
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nA: " + value + "\r\n\r\n";
  const auto request = memory.request(head);
  REQUIRE(request);
  Chain chain;
  {
    ChainWriter out(memory.pool, chain);
    write_request_head(*request, plain(*request), out);
  }
  CHECK(chain.slice_count() == 1);
  CHECK(chain.size() == head.size() + kOurs.size());
}

namespace {

std::string answered(std::string_view head, ResponseForwarding how, Method method = Method::get) {
  Memory memory;
  auto response = memory.response(head, method);
  REQUIRE(response);
  if (how.framing.kind == BodyKind::none) how.framing = response->framing;
  const auto write = [&] {
    return memory.written(
        [&](ChainWriter& out) { write_response_head(*response, how, "THE DATE", out); });
  };
  const std::string text = write();
  response->ready_length = ready_length(*response);
  CHECK(write() == text);  // the short way makes no difference
  return text;
}

}  // namespace

TEST_CASE("http/forwarding: a head to be sent many times tells whether it is ready as it stands") {
  const auto ready = [](const std::string& lines) {
    Memory memory;
    const auto response = memory.response("HTTP/1.1 200 OK\r\n" + lines + "\r\n");
    REQUIRE(response);
    return ready_length(*response);
  };
  const std::string date = "Date: d\r\n", plain = date + "Content-Length: 3\r\n";
  CHECK(ready(plain) == 3);
  CHECK(ready("Via: 1.1 x\r\nX: y\r\nSet-Cookie: z\r\n" + plain) == 3);
  CHECK(ready("Content-Length: 3\r\n") == 0);  // RFC 9110 section 6.6.1: a Date is owed
  CHECK(ready(date) == 0);
  CHECK(ready(date + "Content-Length: 0\r\n") == 0);
  CHECK(ready(date + "Content-Length: 003\r\n") == 0);
  for (const std::string line :
       {"Connection: keep-alive", "Keep-Alive: 5", "Upgrade: x", "TE: y", "X-Request-Id: a",
        "Surrogate-Key: a", "Cache-Tag: a", "Surrogate-Control: max-age=1"}) {
    CAPTURE(line);
    CHECK(ready(plain + line + "\r\n") == 0);
  }
}

TEST_CASE("http/forwarding: a head that is ready goes out as the others do") {
  const std::string lines = "HTTP/1.1 200 Fine\r\nDate: d\r\nContent-Length:  3 \r\nA: b\r\n";
  ResponseForwarding how;
  CHECK(answered(lines + "\r\n", how) == lines + "Via: 1.1 sluice\r\n\r\n");
  how.keep_alive = false;
  how.request_id = "id-1";
  how.extra_lines = "Age: 1\r\n";
  CHECK(answered(lines + "\r\n", how) ==
        lines + "Via: 1.1 sluice\r\nX-Request-Id: id-1\r\nConnection: close\r\nAge: 1\r\n\r\n");
  how.framing = {BodyKind::length, 2};
  CHECK(answered(lines + "\r\n", how).find("Content-Length: 2\r\n") != std::string::npos);
  how.framing = {BodyKind::chunked, 0};
  CHECK(answered(lines + "\r\n", how).find("Content-Length") == std::string::npos);
}

TEST_CASE("http/forwarding: a response as it goes to the client, byte for byte") {
  CHECK(answered("HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: keep-alive, x-own\r\nX-Own: 1\r\n"
                 "Keep-Alive: 5\r\nDate: d\r\nContent-Length: 3\r\nETag:  e \r\n\r\n",
                 {}) ==
        "HTTP/1.1 200 Fine\r\nServer: x\r\nDate: d\r\nContent-Length: 3\r\nETag:  e \r\n"
        "Via: 1.1 sluice\r\n\r\n");
  ResponseForwarding how;
  how.keep_alive = false;
  how.request_id = "id-1";
  how.extra_lines = "Cache-Status: sluice; hit\r\n";
  CHECK(answered("HTTP/1.0 404 Not Found\r\nVia: 1.1 x\r\nX-Request-Id: theirs\r\nA: b\r\n\r\n",
                 how) ==
        "HTTP/1.1 404 Not Found\r\nVia: 1.1 x\r\nA: b\r\nDate: THE DATE\r\nVia: 1.0 sluice\r\n"
        "X-Request-Id: id-1\r\nConnection: close\r\nCache-Status: sluice; hit\r\n\r\n");
}

TEST_CASE("http/forwarding: framing of a response is written afresh") {
  ResponseForwarding chunked;
  chunked.framing = {BodyKind::chunked, 0};
  ResponseForwarding close;
  close.framing = {BodyKind::until_close, 0};
  close.keep_alive = false;
  ResponseForwarding keep_length;
  keep_length.keep_length = true;
  const std::string end = "Via: 1.1 sluice\r\n";
  const std::string ok = "HTTP/1.1 200 OK\r\n", date = "Date: d\r\n";
  CHECK(answered(ok + date + "Transfer-Encoding: chunked\r\n\r\n", chunked) ==
        ok + date + end + "Transfer-Encoding: chunked\r\n\r\n");
  CHECK(answered(ok + date + "Content-Length: 5\r\n\r\n", chunked) ==
        ok + date + end + "Transfer-Encoding: chunked\r\n\r\n");
  CHECK(answered(ok + date + "Transfer-Encoding: chunked\r\n\r\n", close) ==
        ok + date + end + "Connection: close\r\n\r\n");
  CHECK(answered(ok + date + "Content-Length: 0\r\n\r\n", {}) ==
        ok + date + end + "Content-Length: 0\r\n\r\n");
  CHECK(answered(ok + date + "Content-Length: 005\r\n\r\n", {}) ==
        ok + date + end + "Content-Length: 5\r\n\r\n");
  CHECK(answered(ok + date + "Content-Length: 5\r\n\r\n", keep_length, Method::head) ==
        ok + date + "Content-Length: 5\r\n" + end + "\r\n");
  CHECK(answered(ok + date + "\r\n", keep_length, Method::head) == ok + date + end + "\r\n");
  const std::string none = "HTTP/1.1 204 No Content\r\n", same = "HTTP/1.1 304 Not Modified\r\n";
  CHECK(answered(none + date + "Content-Length: 0\r\n\r\n", {}) == none + date + end + "\r\n");
  CHECK(answered(same + date + "Content-Length: 5\r\n\r\n", {}) == same + date + end + "\r\n");
}

TEST_CASE("http/forwarding: request id, edits and fields that Connection may not remove") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  CHECK(answered(ok + "Connection: date, via\r\nDate: d\r\nVia: 1.1 x\r\nX-Request-Id: theirs\r\n"
                      "Content-Length: 1\r\n\r\n",
                 {}) == ok +
                            "Date: d\r\nVia: 1.1 x\r\nX-Request-Id: theirs\r\nContent-Length: 1\r\n"
                            "Via: 1.1 sluice\r\n\r\n");
  FieldEdits edits;
  edits.set = {{"server", "sluice"}, {"content-length", "7"}};
  edits.add = {{"X-Frame-Options", "DENY"}};
  edits.remove = {"x-gone", "via", "date"};
  ResponseForwarding how;
  how.edits = &edits;
  CHECK(answered(ok + "Server: x\r\nX-Gone: 1\r\nVia: 1.1 x\r\nContent-Length: 1\r\n\r\n", how) ==
        ok + "Content-Length: 1\r\nserver: sluice\r\nX-Frame-Options: DENY\r\n\r\n");
  how = {};
  how.request_id = "id-1";
  CHECK(
      answered(ok + "X-Request-Id: id-1\r\nX-Request-Id: b\r\nDate: d\r\nContent-Length: 1\r\n\r\n",
               how) ==
      ok + "X-Request-Id: id-1\r\nDate: d\r\nContent-Length: 1\r\nVia: 1.1 sluice\r\n\r\n");
}

TEST_CASE("http/forwarding: interim responses get nothing of ours") {
  Memory memory;
  const auto response = memory.response(
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\nContent-Length: "
      "0\r\n\r\n");
  REQUIRE(response);
  CHECK(memory.written([&](ChainWriter& out) { write_interim_head(*response, out); }) ==
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST_CASE(
    "http/forwarding: trailers that would frame, route or authenticate are left out (RFC 9110 "
    "6.5.1)") {
  Memory memory;
  const auto trailers = parse_trailers(
      "Digest: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nTrailer: x\r\n"
      "Authorization: y\r\nSet-Cookie: z\r\nConnection: close\r\nContent-Type: t\r\ngrpc-status: "
      "0\r\n"
      "X-Forwarded-For: 1\r\nCache-Control: no-store\r\n\r\n",
      kLimits, memory.arena);
  REQUIRE(trailers);
  CHECK(memory.written([&](ChainWriter& out) { write_trailers(*trailers, out); }) ==
        "0\r\nDigest: x\r\ngrpc-status: 0\r\n\r\n");
  CHECK(memory.written([&](ChainWriter& out) { write_trailers(FieldList(), out); }) == "0\r\n\r\n");
}

TEST_CASE("http/forwarding: names in Connection") {
  Memory memory;
  const auto request = memory.request(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nConnection: ,x-b\r\n\r\n");
  REQUIRE(request);
  CHECK(is_named_by_connection(request->fields, "x-a"));
  CHECK(is_named_by_connection(request->fields, "X-B"));
  CHECK_FALSE(is_named_by_connection(request->fields, "x-c"));
  CHECK_FALSE(is_named_by_connection(FieldList(), "x-a"));
}

TEST_CASE("http/forwarding: request ids") {
  CHECK(is_valid_request_id("aZ09._-"));
  CHECK(is_valid_request_id(std::string(128, 'a')));
  CHECK_FALSE(is_valid_request_id(std::string(129, 'a')));
  for (std::string_view bad : {"", "a b", "a~", "a,b", "\xc3", "a\r\n"})
    CHECK_FALSE(is_valid_request_id(bad));
}

TEST_CASE("http/forwarding: traceparent (W3C Trace Context level 1)") {
  CHECK(is_valid_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  for (std::string_view bad : {"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                               "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                               "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                               "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                               "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_valid_traceparent(bad));
  }
}
