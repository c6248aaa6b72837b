#include "sluice/http/chunked.h"

#include <string>
#include <vector>

#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::test;

namespace {

struct Outcome {
  std::string body, trailers, rest;
  bool done = false;
  Errc code = Errc::kNone;
  bool operator==(const Outcome&) const = default;
};

// In a pool chunk, as what is read from a socket.
Slice as_read(ChunkPool& pool, std::string_view bytes) {
  Chunk* chunk = pool.get(bytes.size());
  bytes.copy(chunk->data(), bytes.size());
  Slice slice = Slice::of_chunk(chunk, chunk->data(), bytes.size());
  ChunkPool::unref(chunk);
  return slice;
}

// Decodes `bytes` in pieces of these sizes; what is over goes in one piece.
Outcome decode(std::string_view bytes, const std::vector<size_t>& sizes,
               const HeadLimits& limits = kLimits) {
  ChunkPool pool;
  ChunkedDecoder decoder;
  Chain body;
  Outcome outcome;
  size_t piece = 0;
  while (!bytes.empty()) {
    const size_t size = piece < sizes.size() ? std::min(sizes[piece], bytes.size()) : bytes.size();
    ++piece;
    Slice input = as_read(pool, bytes.substr(0, size));
    const Status status = decoder.decode(input, body, limits);
    outcome.code = status.error().code();
    if (!status) break;
    bytes.remove_prefix(size - input.size());
    if (decoder.is_done()) break;
    CHECK(decoder.trailer_lines().empty());
    REQUIRE(input.is_empty());
  }
  outcome.body = body.to_string();
  outcome.done = decoder.is_done();
  outcome.trailers = decoder.trailer_lines();
  if (outcome.done) outcome.rest = bytes;
  return outcome;
}

// The same outcome whole, byte by byte and split in two anywhere.
Outcome decode_all_ways(std::string_view bytes, const HeadLimits& limits = kLimits) {
  const Outcome whole = decode(bytes, {}, limits);
  CHECK(decode(bytes, std::vector<size_t>(bytes.size(), 1), limits) == whole);
  for (size_t split = 1; split < bytes.size(); ++split) {
    CAPTURE(split);
    const Outcome parts = decode(bytes, {split}, limits);
    CHECK(parts.code == whole.code);
    CHECK(parts.done == whole.done);
    CHECK(parts.rest == whole.rest);
    CHECK(parts.trailers == whole.trailers);
    CHECK(parts.body == whole.body);
  }
  return whole;
}

}  // namespace

TEST_CASE("http/chunked: bodies are decoded however their bytes come (RFC 9112 7.1)") {
  struct Row {
    std::string_view bytes, body, trailers, rest;
  };
  const Row rows[] = {
      {"0\r\n\r\n", "", "\r\n", ""},
      {"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", "", "\r\n", "GET / HTTP/1.1\r\n\r\n"},
      {"5\r\nhello\r\n0\r\n\r\n", "hello", "\r\n", ""},
      {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nX", "hello world", "\r\n", "X"},
      {"a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n", "01234567890123456789", "\r\n", ""},
      {"0000000000000002\r\n\r\n\r\n0000000000000000\r\n\r\n", "\r\n", "\r\n", ""},
      {"3;a=b\r\nabc\r\n0;x\r\n\r\n", "abc", "\r\n", ""},
      {"3;a=\"q;\\\"\r\";b\r\nabc\r\n0\r\n\r\n", "", "", ""},
      {"1\r\na\r\n0\r\nDigest: x\r\nB: c\r\n\r\nrest", "a", "Digest: x\r\nB: c\r\n\r\n", "rest"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.bytes);
    const Outcome outcome = decode_all_ways(row.bytes);
    if (row.trailers.empty()) {
      CHECK(outcome.code == Errc::kBadChunk);
      continue;
    }
    CHECK(outcome.code == Errc::kNone);
    CHECK(outcome.done);
    CHECK(outcome.body == row.body);
    CHECK(outcome.trailers == row.trailers);
    CHECK(outcome.rest == row.rest);
  }
}

TEST_CASE("http/chunked: bad chunk sizes and line ends are refused (RFC 9112 7.1)") {
  using namespace std::string_view_literals;
  for (std::string_view bytes : {"\r\n"sv,
                                 "\n"sv,
                                 ";a\r\n"sv,
                                 "+5\r\nhello\r\n"sv,
                                 "-5\r\nhello\r\n"sv,
                                 "0x5\r\nhello\r\n"sv,
                                 "x\r\n"sv,
                                 " 5\r\nhello\r\n"sv,
                                 "5 \r\nhello\r\n"sv,
                                 "5\t\r\nhello\r\n"sv,
                                 "5\nhello\r\n"sv,
                                 "5\r\rhello\r\n"sv,
                                 "5\rhello\r\n"sv,
                                 "5,\r\nhello\r\n"sv,
                                 "5\0\r\nhello\r\n"sv,
                                 "5_0\r\nhello\r\n"sv,
                                 "5.0\r\nhello\r\n"sv,
                                 "00000000000000005\r\nhello\r\n"sv,
                                 "00000000000000000\r\n\r\n"sv,
                                 "10000000000000000\r\n"sv,
                                 "ffffffffffffffff\r\n"sv,
                                 "8000000000000000\r\n"sv,
                                 "5\r\nhello0\r\n\r\n"sv,
                                 "5\r\nhello\n0\r\n\r\n"sv,
                                 "5\r\nhello\r0\r\n\r\n"sv,
                                 "5\r\nhelloworld\r\n0\r\n\r\n"sv,
                                 "5\r\nhello\r\n\r\n"sv,
                                 "\xef\xbc\x95\r\n"sv}) {
    CAPTURE(std::string(bytes));
    CHECK(decode_all_ways(bytes).code == Errc::kBadChunk);
  }
}

TEST_CASE("http/chunked: chunk extensions follow their grammar (RFC 9112 7.1.1)") {
  using namespace std::string_view_literals;
  for (std::string_view good :
       {";a"sv, ";a=b"sv, ";a;b;c=d"sv, " ; a = b ; c"sv, "\t;\ta"sv, ";a=\"\""sv,
        ";a=\"x y;\\\"\t\xff\""sv, ";a=\"b\";c"sv, ";a=\"b\" ;c"sv, ";a ;b"sv, ";a\t=\tb"sv}) {
    CAPTURE(std::string(good));
    const Outcome outcome = decode_all_ways("1" + std::string(good) + "\r\nx\r\n0\r\n\r\n");
    CHECK(outcome.code == Errc::kNone);
    CHECK(outcome.body == "x");
    CHECK(outcome.done);
  }
  for (std::string_view bad : {";"sv,         ";;"sv,          ";a;"sv,
                               "; "sv,        ";=b"sv,         ";a="sv,
                               ";a=;b"sv,     ";a= "sv,        ";a b"sv,
                               ";a=b c"sv,    ";a "sv,         ";a=b "sv,
                               ";a=\"b"sv,    ";a=\"b\"c"sv,   ";a=\"b\" "sv,
                               ";a=\"\\"sv,   ";a=\"\x01\""sv, ";a=\"\\\x01\""sv,
                               ";a\x01"sv,    ";a=b\x7f"sv,    ";a\n"sv,
                               ";a\rb"sv,     ";\xff"sv,       ";a=\"\n\""sv,
                               ";a=\"\0\""sv, ";(a"sv,         ";a=(b"sv,
                               " x"sv,        ";a=b=c"sv}) {
    CAPTURE(std::string(bad));
    const Outcome outcome = decode_all_ways("1" + std::string(bad) + "\r\nx\r\n0\r\n\r\n");
    CHECK(outcome.code == Errc::kBadChunk);
    CHECK(outcome.body == "");
  }
}

TEST_CASE("http/chunked: a size line is bounded") {
  const std::string fits = "1;" + std::string(kMaxChunkLine - 3, 'a') + "\r\nx\r\n0\r\n\r\n";
  CHECK(decode_all_ways(fits).code == Errc::kNone);
  const std::string over = "1;" + std::string(kMaxChunkLine - 2, 'a') + "\r\nx\r\n0\r\n\r\n";
  CHECK(decode_all_ways(over).code == Errc::kBadChunk);
}

TEST_CASE("http/chunked: trailers are bounded and their line ends strict (RFC 9112 7.1.2)") {
  using namespace std::string_view_literals;
  const HeadLimits limits{.head = 40, .fields = 4, .target = 4};
  CHECK(decode_all_ways("0\r\nA: bbbbbbbbbbb\r\n\r\n", limits).code == Errc::kNone);
  CHECK(decode_all_ways("0\r\nA: " + std::string(40, 'b') + "\r\n\r\n", limits).code ==
        Errc::kHeadTooLarge);
  CHECK(decode_all_ways("0\r\nA: b\r\nC: " + std::string(40, 'b') + "\r\n\r\n", limits).code ==
        Errc::kHeadTooLarge);
  const std::string exact = "A: " + std::string(40 - 7, 'b') + "\r\n\r\n";
  CHECK(decode_all_ways("0\r\n" + exact + "more", limits).rest == "more");
  for (std::string_view bad :
       {"0\r\nA: b\n\r\n"sv, "0\r\nA: b\r\n\n"sv, "0\r\n\n"sv, "0\r\nA: \0\r\n\r\n"sv}) {
    CHECK(decode_all_ways(bad).code == Errc::kBadChunk);
  }
}

TEST_CASE("http/chunked: data is handed on without a copy") {
  ChunkPool pool;
  Chunk* chunk = pool.get();
  const std::string bytes = "5\r\nhello\r\n0\r\n\r\n";
  bytes.copy(chunk->data(), bytes.size());
  Slice input = Slice::of_chunk(chunk, chunk->data(), bytes.size());
  ChunkPool::unref(chunk);
  Chain body;
  ChunkedDecoder decoder;
  REQUIRE(decoder.decode(input, body, kLimits));
  CHECK(decoder.is_done());
  REQUIRE(body.slice_count() == 1);
  CHECK(body.slice(0).data() == chunk->data() + 3);
}

TEST_CASE("http/chunked: a decoder is used again after reset") {
  ChunkedDecoder decoder;
  Chain body;
  for (int i = 0; i < 2; ++i) {
    Slice input = Slice::from_static("1\r\na\r\n0\r\nA: b\r\n\r\n");
    REQUIRE(decoder.decode(input, body, kLimits));
    CHECK(decoder.is_done());
    CHECK(decoder.trailer_lines() == "A: b\r\n\r\n");
    decoder.reset();
    CHECK_FALSE(decoder.is_done());
  }
  CHECK(body.to_string() == "aa");
}

TEST_CASE("http/chunked: small chunks that came together close up, large ones stay in place") {
  ChunkPool pool;
  ChunkedDecoder decoder;
  Chain body;
  std::string wire, expected;
  const std::string large(600, 'L');
  for (int i = 0; i < 200; ++i)
    wire += "1\r\n" + std::string(1, static_cast<char>('a' + i % 26)) + "\r\n";
  wire += "258\r\n" + large + "\r\n2\r\nxy\r\n";
  for (int i = 0; i < 200; ++i) expected += static_cast<char>('a' + i % 26);
  expected += large + "xy";
  Slice first = as_read(pool, wire);
  REQUIRE(decoder.decode(first, body, kLimits));
  CHECK(body.slice_count() == 2);
  // What was read later is not joined to what somebody may have taken since.
  Slice second = as_read(pool, "1\r\nz\r\n0\r\n\r\n");
  REQUIRE(decoder.decode(second, body, kLimits));
  CHECK(decoder.is_done());
  CHECK(body.slice_count() == 3);
  CHECK(body.to_string() == expected + "z");
}

TEST_CASE("http/chunked: size lines are written in hex") {
  struct Row {
    uint64_t size;
    std::string_view line;
  };
  for (const Row& row : {Row{0, "0\r\n"}, Row{1, "1\r\n"}, Row{0x1a2b, "1a2b\r\n"},
                         Row{0x10000, "10000\r\n"}, Row{UINT64_MAX, "ffffffffffffffff\r\n"}}) {
    char out[18];
    CHECK(std::string_view(out, write_chunk_size(out, row.size)) == row.line);
  }
}
