// Chunked bodies: whole, byte by byte and split in two they decode alike, and what was decoded
// comes back from our own encoding.
#include "sluice/http/chunked.h"
#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::fuzz;

namespace {

struct Outcome {
  std::string body, trailers;
  size_t taken = 0;
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

// In pieces of `first` and then `step` bytes.
Outcome decode(std::string_view bytes, size_t first, size_t step,
               const HeadLimits& limits = kLimits) {
  ChunkPool pool;
  ChunkedDecoder decoder;
  Chain body;
  Outcome outcome;
  size_t size = first;
  while (outcome.taken < bytes.size() && !decoder.is_done()) {
    size = std::min(size, bytes.size() - outcome.taken);
    Slice input = as_read(pool, bytes.substr(outcome.taken, size));
    outcome.code = decoder.decode(input, body, limits).error().code();
    if (outcome.code != Errc::kNone) {
      outcome.taken = 0;
      break;
    }
    expect(input.is_empty() || decoder.is_done(), "all is taken until the end");
    outcome.taken += size - input.size();
    size = step;
  }
  outcome.done = decoder.is_done();
  outcome.trailers = decoder.trailer_lines();
  outcome.body = body.to_string();
  return outcome;
}

// The body in two chunks, and the trailers that may pass.
std::string encode(std::string_view body, const FieldList& trailers, ChunkPool& pool) {
  Chain chain;
  ChunkedWriter writer;
  const size_t half = body.size() / 2;
  for (std::string_view part : {body.substr(0, half), body.substr(half)}) {
    Chain piece;
    piece.push_back(Slice::copy_of(part));
    writer.write(std::move(piece), pool, chain);
  }
  writer.end();
  {
    ChainWriter out(pool, chain);
    write_trailers(trailers, out);
  }
  return chain.to_string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = decode(bytes, size, size);
  expect(decode(bytes, 1, 1) == whole, "bytewise decoding is the same");
  expect(decode(bytes, 1 + data[size - 1] % size, size) == whole, "split decoding is the same");
  if (!whole.done) return 0;

  ChunkPool pool;
  Arena arena(pool);
  const auto trailers = parse_trailers(whole.trailers, kLimits, arena);
  const FieldList fields = trailers ? *trailers : FieldList();
  const std::string text = encode(whole.body, fields, pool);
  const Outcome again = decode(text, text.size(), 1, kWide);
  expect(again.done && again.taken == text.size(), "our encoding is one whole body");
  expect(again.body == whole.body, "our encoding gives the body back");
  const auto passed = parse_trailers(again.trailers, kWide, arena);
  expect(passed.has_value(), "our trailers are good lines");
  for (const Field& field : *passed) {
    expect(field.id != FieldId::kContentLength && !is_hop_by_hop(field.id), "no framing trails");
  }
  return 0;
}
