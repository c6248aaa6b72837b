// Ranges on a route with a cache: 206 stored, put together, completed, served (RFC 9111 sections
// 3.3 and 3.4, RFC 9110 section 14).
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kCached = R"(
workers: 2
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /}, pool: app, cache: {@cache}}
cache: {memory: {size: 64MiB, max_object: 1MiB}}
)";

Values values(const Origin& origin, const std::string& cache = "") {
  return {{"a", origin.address()}, {"cache", cache}};
}

const std::string kText = "0123456789abcdefghij";
const std::string kFresh = "Cache-Control: max-age=60\r\n";
const std::string kTagged = kFresh + "ETag: \"1\"\r\n";

// An endpoint with one representation, which knows single ranges and If-Range.
struct Document {
  std::string text = kText;
  std::string lines = kTagged;
  std::string tag = "\"1\"";

  std::string answer_to(const Message& request) const {
    const std::string range = request.field("Range");
    const std::string condition = request.field("If-Range");
    const bool counts = range.starts_with("bytes=") && (condition.empty() || condition == tag);
    if (request.field("If-None-Match") == tag) return answer(304, "", lines);
    if (!counts) return answer(200, text, lines);
    size_t first = 0, last = text.size() - 1;
    const size_t dash = range.find('-');
    const std::string from = range.substr(6, dash - 6), to = range.substr(dash + 1);
    if (from.empty()) {
      first = text.size() - std::stoul(to);
    } else {
      first = std::stoul(from);
      if (!to.empty()) last = std::min(last, static_cast<size_t>(std::stoul(to)));
    }
    if (first >= text.size()) return answer(416, "", "Content-Range: bytes */20\r\n");
    return part(first, last);
  }
  std::string part(size_t first, size_t last) const {
    return answer(206, text.substr(first, last - first + 1),
                  lines + "Content-Range: bytes " + std::to_string(first) + "-" +
                      std::to_string(last) + "/" + std::to_string(text.size()) + "\r\n");
  }
};

Origin::Script serving(const Document& document) {
  return [=](OriginConn& c) {
    c.serve([&](const Message& request) { return document.answer_to(request); });
  };
}

// The n-th answer to the n-th request, the last one ever after.
Origin::Script one_by_one(const std::vector<std::string>& answers) {
  auto count = std::make_shared<std::atomic<size_t>>(0);
  return [=](OriginConn& c) {
    c.serve([&](const Message&) { return answers[std::min((*count)++, answers.size() - 1)]; });
  };
}

Message ask(Sluice& sluice, const std::string& lines = "", const std::string& method = "GET") {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text("/", lines, method));
  return client.read_response(method);
}

Message ask_range(Sluice& sluice, const std::string& range, const std::string& lines = "") {
  return ask(sluice, "Range: bytes=" + range + "\r\n" + lines);
}

std::string status_of(const Message& message) { return message.field("Cache-Status"); }
bool is_hit(const Message& message) { return status_of(message).starts_with("sluice; hit"); }

}  // namespace

// Storing and serving parts -----------------------------------------------------------------------

TEST_CASE("e2e/cache: a 206 is passed on as it came, and answers ranges within it (RFC 9111 3.3)") {
  Origin origin(serving({}));
  Sluice sluice(kCached, values(origin));
  const Message first = ask_range(sluice, "5-14");
  CHECK(first.status == 206);
  CHECK(first.body == "56789abcde");
  CHECK(first.field("Content-Range") == "bytes 5-14/20");
  CHECK(status_of(first) == "sluice; fwd=uri-miss; stored");
  CHECK(origin.request(0).field("Range") == "bytes=5-14");
  struct Row {
    const char* range;
    const char* body;
    const char* content_range;
  };
  for (const Row& row : {Row{"5-14", "56789abcde", "bytes 5-14/20"},
                         Row{"7-8", "78", "bytes 7-8/20"}, Row{"14-14", "e", "bytes 14-14/20"}}) {
    CAPTURE(row.range);
    const Message hit = ask_range(sluice, row.range);
    CHECK(is_hit(hit));
    CHECK(hit.status == 206);
    CHECK(hit.body == row.body);
    CHECK(hit.field("Content-Range") == row.content_range);
    CHECK(hit.field("Content-Length") == std::to_string(hit.body.size()));
  }
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: a range that is not all there goes to the endpoint: fwd=partial (RFC 9211)") {
  Origin origin(serving({}));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "5-9");
  const Message more = ask_range(sluice, "8-12");
  CHECK(more.status == 206);
  CHECK(more.body == "89abc");
  CHECK(status_of(more) == "sluice; fwd=partial; stored");
  CHECK(origin.request(1).field("Range") == "bytes=8-12");
  CHECK_FALSE(origin.request(1).has("If-None-Match"));
  // RFC 9111 section 3.4: now they are one.
  const Message both = ask_range(sluice, "5-12");
  CHECK(is_hit(both));
  CHECK(both.body == "56789abc");
  CHECK(origin.requests().size() == 2);
}

TEST_CASE("e2e/cache: ranges that make up the whole are the whole (RFC 9111 3.4)") {
  Origin origin(serving({}));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "10-19");
  ask_range(sluice, "0-4");
  ask_range(sluice, "3-12");
  const Message whole = ask(sluice);
  CHECK(whole.status == 200);
  CHECK(whole.body == kText);
  CHECK(whole.field("Content-Length") == "20");
  CHECK_FALSE(whole.has("Content-Range"));
  CHECK(is_hit(whole));
  CHECK(ask_range(sluice, "-3").body == "hij");
  CHECK(origin.requests().size() == 3);
}

TEST_CASE("e2e/cache: HEAD and conditions are answered from parts alone (RFC 9111 4.3.2)") {
  Origin origin(serving({}));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "0-4");
  const Message head = ask(sluice, "", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.field("Content-Length") == "20");
  CHECK(is_hit(head));
  const Message same = ask(sluice, "If-None-Match: \"1\"\r\n");
  CHECK(same.status == 304);
  CHECK(is_hit(same));
  CHECK(ask_range(sluice, "20-").status == 416);
  CHECK(origin.requests().size() == 1);
}

TEST_CASE("e2e/cache: a 206 that nobody can place is passed on and not stored") {
  struct Row {
    const char* description;
    std::string answer;
  };
  const Document document;
  const Row rows[] = {
      {"several ranges", answer(206, "--x\r\nContent-Range: bytes 0-0/20\r\n\r\n0\r\n--x--\r\n",
                                kTagged + "Content-Type: multipart/byteranges; boundary=x\r\n")},
      {"the length unknown", answer(206, "01234", kTagged + "Content-Range: bytes 0-4/*\r\n")},
      {"shorter than it says", answer(206, "0123", kTagged + "Content-Range: bytes 0-4/20\r\n")},
      {"no Content-Range", answer(206, "01234", kTagged)},
      {"no-store",
       answer(206, "01234", "Cache-Control: no-store\r\nContent-Range: bytes 0-4/20\r\n")},
  };
  for (const Row& row : rows) {
    CAPTURE(row.description);
    Origin origin(one_by_one({row.answer}));
    Sluice sluice(kCached, values(origin));
    for (size_t i = 0; i < 2; ++i) {
      const Message response = ask_range(sluice, "0-4");
      CHECK(response.status == 206);
      CHECK_FALSE(is_hit(response));
      CHECK(response.complete);
    }
    CHECK(origin.requests().size() == 2);
  }
}

// Completing --------------------------------------------------------------------------------------

TEST_CASE("e2e/cache: what is missing is fetched by a range, with If-Range (RFC 9110 13.1.5)") {
  struct Row {
    std::vector<const char*> stored;
    const char* asked;
  };
  for (const Row& row :
       {Row{{"0-4"}, "bytes=5-"}, Row{{"15-19"}, "bytes=0-14"}, Row{{"5-9"}, "bytes=0-"},
        Row{{"0-4", "10-19"}, "bytes=5-9"}, Row{{"0-1", "5-6", "10-19"}, "bytes=2-9"}}) {
    CAPTURE(row.asked);
    Origin origin(serving({}));
    Sluice sluice(kCached, values(origin));
    for (const char* range : row.stored) ask_range(sluice, range);
    const Message whole = ask(sluice);
    CHECK(whole.status == 200);
    CHECK(whole.body == kText);
    CHECK(whole.field("Content-Length") == "20");
    CHECK(whole.count("Content-Length") == 1);
    CHECK_FALSE(whole.has("Content-Range"));
    CHECK(status_of(whole) == "sluice; fwd=partial; fwd-status=206; stored");
    const Message asked = origin.request(row.stored.size());
    CHECK(asked.field("Range") == row.asked);
    CHECK(asked.field("If-Range") == "\"1\"");
    const Message again = ask(sluice);
    CHECK(is_hit(again));
    CHECK(again.body == kText);
    CHECK(origin.requests().size() == row.stored.size() + 1);
  }
}

TEST_CASE("e2e/cache: a large one is completed, and kept in its parts") {
  Document document;
  document.text = repeat("0123456789abcdef", 50'000);
  Origin origin(serving(document));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "100000-300000");
  ask_range(sluice, "600000-799999");
  CHECK((ask(sluice).body == document.text));
  CHECK(origin.request(2).field("Range") == "bytes=0-599999");
  const Message hit = ask(sluice);
  CHECK(is_hit(hit));
  CHECK((hit.body == document.text));
  CHECK((ask_range(sluice, "299990-600010").body == document.text.substr(299990, 300021)));
  CHECK(origin.requests().size() == 3);
}

TEST_CASE("e2e/cache: the representation has changed: the new one takes the place of the parts") {
  Document now;
  now.text = "the new one";
  now.tag = "\"2\"";
  now.lines = kFresh + "ETag: \"2\"\r\n";
  const Document before;
  auto count = std::make_shared<std::atomic<int>>(0);
  Origin origin([=](OriginConn& c) {
    c.serve([&](const Message& request) {
      return ((*count)++ == 0 ? before : now).answer_to(request);
    });
  });
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "0-4");
  const Message whole = ask(sluice);
  CHECK(whole.body == now.text);
  CHECK(status_of(whole) == "sluice; fwd=partial; stored");
  CHECK(is_hit(ask(sluice)));
  CHECK(ask_range(sluice, "0-2").body == "the");
  CHECK(origin.requests().size() == 2);
}

TEST_CASE("e2e/cache: what cannot be combined is asked for once more, without a range") {
  Document other;
  other.text = repeat("other", 4);
  other.lines = kFresh + "ETag: \"2\"\r\n";
  Document untagged;
  untagged.lines = kFresh;
  struct Row {
    const char* description;
    std::string answer;
  };
  const Row rows[] = {
      {"another tag", other.part(5, 19)},
      {"no tag", untagged.part(5, 19)},
      {"not all that was asked for", Document().part(5, 9)},
      {"another length", answer(206, "xx", kTagged + "Content-Range: bytes 5-6/7\r\n")},
      {"precondition failed", answer(412, "")},
      {"no such range", answer(416, "", "Content-Range: bytes */3\r\n")},
      {"a body without end",
       "HTTP/1.1 206 Partial Content\r\n" + other.lines +
           "Content-Range: bytes 5-99999999/100000000\r\nContent-Length: 99999995\r\n\r\nxx"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.description);
    Origin origin(one_by_one({Document().part(0, 4), row.answer, answer(200, "whole", kTagged)}));
    origin.ignore_failures();
    Sluice sluice(kCached, values(origin));
    ask_range(sluice, "0-4");
    const Message whole = ask(sluice);
    CHECK(whole.status == 200);
    CHECK(whole.body == "whole");
    CHECK(origin.request(1).field("Range") == "bytes=5-");
    CHECK_FALSE(origin.request(2).has("Range"));
    CHECK_FALSE(origin.request(2).has("If-Range"));
    CHECK(ask(sluice).body == "whole");
    CHECK(origin.requests().size() == 3);
  }
}

TEST_CASE(
    "e2e/cache: without a strong validator parts are replaced, never combined (RFC 9111 3.4)") {
  for (const char* tag : {"", "ETag: W/\"1\"\r\n"}) {
    Document document;
    document.lines = kFresh + tag;
    Origin origin(serving(document));
    Sluice sluice(kCached, values(origin));
    ask_range(sluice, "0-4");
    CHECK(is_hit(ask_range(sluice, "0-4")));
    ask_range(sluice, "5-9");
    CHECK(is_hit(ask_range(sluice, "5-9")));
    CHECK_FALSE(is_hit(ask_range(sluice, "0-9")));
    CHECK_FALSE(origin.request(2).has("If-Range"));
  }
}

TEST_CASE("e2e/cache: a last range shorter than it says is believed its first byte, if untagged") {
  Origin origin(one_by_one({answer(206, "56789", kFresh + "Content-Range: bytes 5-10/11\r\n")}));
  Sluice sluice(kCached, values(origin));
  CHECK(ask_range(sluice, "-5").field("Content-Range") == "bytes 5-10/11");
  const Message hit = ask_range(sluice, "7-");
  CHECK(is_hit(hit));
  CHECK(hit.body == "789");
  CHECK(hit.field("Content-Range") == "bytes 7-9/10");
}

TEST_CASE("e2e/cache: stale parts that are enough are validated, others completed") {
  Document document;
  document.lines = "Cache-Control: max-age=10\r\nAge: 60\r\nETag: \"1\"\r\n";
  Origin origin(serving(document));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "0-4");
  const Message part = ask_range(sluice, "0-4");
  CHECK(part.status == 206);
  CHECK(part.body == "01234");
  CHECK(status_of(part) == "sluice; fwd=stale; fwd-status=304");
  CHECK(origin.request(1).field("If-None-Match") == "\"1\"");
  const Message whole = ask(sluice);
  CHECK(whole.body == kText);
  CHECK(status_of(whole) == "sluice; fwd=partial; fwd-status=206; stored");
  CHECK_FALSE(origin.request(2).has("If-None-Match"));
}

TEST_CASE("e2e/cache: an endpoint that fails to complete is told, and the parts stay") {
  Origin origin(one_by_one({Document().part(0, 4), answer(503, "no"), Document().part(5, 19)}));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "0-4");
  CHECK(ask(sluice).status == 503);
  CHECK(is_hit(ask_range(sluice, "0-4")));
  CHECK(ask(sluice).body == kText);
  CHECK(ask(sluice, "Cache-Control: only-if-cached\r\n").status == 200);
}

TEST_CASE("e2e/cache: only-if-cached is not answered with a part of what it asks for") {
  Origin origin(serving({}));
  Sluice sluice(kCached, values(origin));
  ask_range(sluice, "0-4");
  CHECK(ask(sluice, "Cache-Control: only-if-cached\r\n").status == 504);
  CHECK(ask_range(sluice, "0-3", "Cache-Control: only-if-cached\r\n").status == 206);
  CHECK(origin.requests().size() == 1);
}

// Several clients ---------------------------------------------------------------------------------

TEST_CASE("e2e/cache: who follows while parts are completed gets the whole, or starts afresh") {
  for (const bool breaks : {false, true}) {
    CAPTURE(breaks);
    Gate asked, go_on;
    auto count = std::make_shared<std::atomic<int>>(0);
    Origin origin([&, count](OriginConn& c) {
      for (;;) {
        const Message request = c.expect_request();
        const std::string reply = Document().answer_to(request);
        if ((*count)++ != 1) {
          c.send(reply);
          continue;
        }
        const size_t half = reply.size() - 8;
        c.send(reply.substr(0, half));
        asked.open();
        go_on.wait();
        if (breaks) return;
        c.send(reply.substr(half));
      }
    });
    origin.ignore_failures();
    Sluice sluice(kCached, values(origin));
    ask_range(sluice, "0-4");
    Wire first = Wire::to_port(sluice.port());
    first.send(request_text("/"));
    asked.wait();
    Wire second = Wire::to_port(sluice.port());
    second.send(request_text("/"));
    Wire ranged = Wire::to_port(sluice.port());
    ranged.send(request_text("/", "Range: bytes=1-3\r\n"));
    CHECK(ranged.read_response().body == "123");  // from the parts, meanwhile
    sluice.wait_for_value("sluice_cache_collapsed_total", "", 1);
    go_on.open();
    for (Wire* client : {&first, &second}) {
      if (breaks) {
        CHECK(client->read_head().start == "HTTP/1.1 200 OK");
        client->wait_for_end();
        CHECK(client->rest().size() < kText.size());
        continue;
      }
      CHECK(client->read_response().body == kText);
    }
    const Message after = ask(sluice);
    CHECK(after.body == kText);
    CHECK(is_hit(after) == !breaks);
  }
}
