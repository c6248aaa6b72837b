// Bytes of a response to facts, whole and cut at each byte.
#include "sluice/upstream/response_reader.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace sluice::upstream {
namespace {

struct Outcome {
  std::string heads;  // statuses of interim heads and the head: "103 200"
  std::string body;
  std::string trailers;
  bool complete = false;
  bool excess = false;
  bool reuse = false;
  Errc error = Errc::kNone;
  bool operator==(const Outcome&) const = default;
};

struct Answer {
  std::string bytes;
  http::Method method = http::Method::get;
  bool ends = false;  // FIN follows
  int reset = 0;      // RST follows, with this errno
};

// Feeds the pieces into which `cuts` part the bytes.
Outcome read(const Answer& answer, const std::vector<size_t>& cuts) {
  ChunkPool pool;
  Arena arena(pool);
  ResponseReader reader;
  reader.begin(arena);
  reader.set_method(answer.method);
  Outcome outcome;
  Error error;
  size_t from = 0;
  for (size_t cut : cuts) {
    error = reader.feed(Slice::copy_of(std::string_view(answer.bytes).substr(from, cut - from)));
    from = cut;
    if (error) break;
  }
  if (!error) error = reader.feed(Slice::copy_of(std::string_view(answer.bytes).substr(from)));
  if (!error && (answer.ends || answer.reset != 0)) error = reader.end(answer.reset);
  for (; reader.interim() != nullptr; reader.pop_interim()) {
    outcome.heads += std::to_string(reader.interim()->status) + " ";
  }
  if (reader.head() != nullptr) outcome.heads += std::to_string(reader.head()->status);
  outcome.body = reader.body().to_string();
  for (const http::Field& field : reader.trailers()) {
    outcome.trailers += std::string(field.name) + "=" + std::string(field.value) + ";";
  }
  outcome.complete = reader.is_complete();
  outcome.excess = reader.has_excess();
  outcome.reuse = reader.may_reuse();
  outcome.error = error.code();
  reader.reset();
  return outcome;
}

std::vector<size_t> every_byte(const std::string& bytes) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
  return cuts;
}

void check(const Answer& answer, const Outcome& expected) {
  CAPTURE(answer.bytes);
  const auto compare = [&](const Outcome& got) {
    CHECK(got.heads == expected.heads);
    CHECK(got.body == expected.body);
    CHECK(got.trailers == expected.trailers);
    CHECK(got.complete == expected.complete);
    CHECK(got.excess == expected.excess);
    CHECK(got.reuse == expected.reuse);
    CHECK(error_row(got.error).token == error_row(expected.error).token);
  };
  compare(read(answer, {}));
  for (size_t cut = 1; cut < answer.bytes.size(); ++cut) {
    CAPTURE(cut);
    const Outcome got = read(answer, {cut});
    if (!(got == expected)) compare(got);
  }
  compare(read(answer, every_byte(answer.bytes)));
}

const std::string kOk = "HTTP/1.1 200 OK\r\n";

TEST_CASE("upstream/response_reader: every kind of body, cut at each byte") {
  check({kOk + "Content-Length: 5\r\n\r\nhello"}, {"200", "hello", "", true, false, true});
  check({kOk + "Content-Length: 0\r\n\r\n"}, {"200", "", "", true, false, true});
  check({kOk + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"},
        {"200", "hello!", "", true, false, true});
  check({kOk + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\nC: d\r\n\r\n"},
        {"200", "ok", "A=b;C=d;", true, false, true});
  check({kOk + "\r\nuntil close", http::Method::get, true},
        {"200", "until close", "", true, false, false});
  check({"HTTP/1.1 204 No Content\r\n\r\n"}, {"204", "", "", true, false, true});
  check({"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"},
        {"304", "", "", true, false, true});
  check({kOk + "Content-Length: 9\r\n\r\n", http::Method::head},
        {"200", "", "", true, false, true});
}

TEST_CASE("upstream/response_reader: interim responses come before the head (RFC 9110 15.2)") {
  check({"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kOk +
         "Content-Length: 2\r\n\r\nok"},
        {"100 103 200", "ok", "", true, false, true});
  check({"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
        {"", "", "", false, false, false, Errc::kUpgradeRefused});
  std::string many;
  for (uint32_t i = 0; i <= kMostInterims; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(read({many}, {}).error == Errc::kBadResponse);
}

TEST_CASE("upstream/response_reader: bytes behind the end are told, the response stays good") {
  check({kOk + "Content-Length: 2\r\n\r\nokHTTP/1.1"}, {"200", "ok", "", true, true, false});
  check({kOk + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx"}, {"200", "", "", true, true, false});
  check({"HTTP/1.1 204 No Content\r\n\r\nbody"}, {"204", "", "", true, true, false});
  check({kOk + "Content-Length: 3\r\n\r\nabc", http::Method::head},
        {"200", "", "", true, true, false});
}

TEST_CASE("upstream/response_reader: who says close is not used again") {
  check({kOk + "Connection: close\r\nContent-Length: 2\r\n\r\nok"},
        {"200", "ok", "", true, false, false});
  check({"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"}, {"200", "ok", "", true, false, false});
}

TEST_CASE("upstream/response_reader: where the connection may end, and where not") {
  struct Case {
    std::string bytes;
    Errc at_fin, at_reset;
    bool complete_at_fin;
  } const cases[] = {
      {"", Errc::kResetBeforeHead, Errc::kResetBeforeHead, false},
      {"H", Errc::kResponseIncomplete, Errc::kResponseIncomplete, false},
      {"HTTP/1.1 200 OK\r\nA: b\r\n", Errc::kResponseIncomplete, Errc::kResponseIncomplete, false},
      {"HTTP/1.1 100 Continue\r\n\r\n", Errc::kResponseIncomplete, Errc::kResponseIncomplete,
       false},
      {kOk + "Content-Length: 2\r\n\r\n", Errc::kResponseIncomplete, Errc::kResponseIncomplete,
       false},
      {kOk + "Content-Length: 2\r\n\r\no", Errc::kResponseIncomplete, Errc::kResponseIncomplete,
       false},
      {kOk + "Content-Length: 2\r\n\r\nok", Errc::kNone, Errc::kNone, true},
      {kOk + "Transfer-Encoding: chunked\r\n\r\n", Errc::kResponseIncomplete,
       Errc::kResponseIncomplete, false},
      {kOk + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", Errc::kResponseIncomplete,
       Errc::kResponseIncomplete, false},
      {kOk + "\r\npart", Errc::kNone, Errc::kResponseIncomplete, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const Outcome fin = read({c.bytes, http::Method::get, true}, {});
    CHECK(fin.error == c.at_fin);
    CHECK(fin.complete == c.complete_at_fin);
    CHECK(read({c.bytes, http::Method::get, false, ECONNRESET}, {}).error == c.at_reset);
  }
}

TEST_CASE("upstream/response_reader: a malformed answer is a bad response, never repaired") {
  const std::string cases[] = {
      "\r\n" + kOk + "\r\n",
      "HTTP/1.1 200 OK\nA: b\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      kOk + "A : b\r\n\r\n",
      kOk + "A: b\r\n c\r\n\r\n",
      kOk + "A: b\rc\r\n\r\n",
      kOk + std::string("A: b\0c\r\n\r\n", 11),
      kOk + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      kOk + "Content-Length: +5\r\n\r\nhello",
      kOk + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\nx\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n0\r\nA : b\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
  };
  for (const std::string& bytes : cases) {
    CAPTURE(bytes);
    const Outcome whole = read({bytes}, {});
    CHECK(error_row(whole.error).token == "bad_response");
    CHECK_FALSE(whole.complete);
    CHECK(read({bytes}, every_byte(bytes)).error == Errc::kBadResponse);
  }
}

TEST_CASE("upstream/response_reader: heads have a limit in bytes and in fields") {
  CHECK(read({kOk + "A: " + std::string(70'000, 'x') + "\r\n\r\n"}, {}).error ==
        Errc::kResponseHeadTooLarge);
  CHECK(read({kOk + "A: " + std::string(70'000, 'x')}, {1000, 40'000}).error ==
        Errc::kResponseHeadTooLarge);
  std::string fields;
  for (int i = 0; i < 257; ++i) fields += "A: b\r\n";
  CHECK(read({kOk + fields + "\r\n"}, {}).error == Errc::kResponseHeadTooLarge);
  CHECK(read({kOk + "A: " + std::string(50'000, 'x') + "\r\nContent-Length: 0\r\n\r\n"}, {20'000})
            .complete);
}

TEST_CASE("upstream/response_reader: it can be used again and keeps nothing") {
  ChunkPool pool;
  ResponseReader reader;
  for (int i = 0; i < 3; ++i) {
    Arena arena(pool);
    reader.begin(arena);
    CHECK_FALSE(reader.has_bytes());
    CHECK(reader.head() == nullptr);
    REQUIRE_FALSE(reader.feed(Slice::copy_of(
        kOk + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\nexcess")));
    CHECK(reader.body().to_string() == "a");
    CHECK(reader.trailers().size() == 1);
    CHECK(reader.has_excess());
    reader.reset();
    CHECK(reader.body().is_empty());
  }
  CHECK(pool.chunks_in_use() == 0);
}

}  // namespace
}  // namespace sluice::upstream
