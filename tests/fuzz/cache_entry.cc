// Records of the shared tier. The first byte says what is done with the rest: taken as it is, or
// given the magic, version, size and checksum that it needs to be looked into. Whatever is read
// makes an entry that writes itself the same again and sends a head that parses strictly.
#include <cstring>

#include "heads.h"
#include "sluice/cache/entry_codec.h"
#include "sluice/cache/vary.h"

using namespace sluice;
using namespace sluice::cache;
using http::fuzz::expect;

namespace {

constexpr http::HeadLimits kStrict{.head = 128 * 1024, .fields = 300};
const HashSecret kSecret("fuzz");
const std::string_view kUrl = "http://a:80/";

std::string sealed(std::string record) {
  if (record.size() < kRecordHeader) return record;
  const uint64_t size = record.size();
  std::memcpy(record.data(), "SLCR\2\0", 6);
  std::memcpy(record.data() + 8, &size, sizeof(size));
  const uint64_t sum = record_checksum(record);
  std::memcpy(record.data() + kChecksumAt, &sum, sizeof(sum));
  return record;
}

void check_entry(DecodedEntry& decoded, std::string_view record, Arena& arena) {
  MemoryBudget budget(size_t{1} << 24);
  const EntryPart part{0, Body::copy_of(budget, decoded.body)};
  decoded.spec.parts = {&part, 1};
  const Ref<Entry> entry = Entry::make(budget, decoded.spec);
  expect(entry.get() != nullptr, "what is read fits into memory as large as it");
  // With the spaces it lacked a head may come to be over the limit of what is written.
  if (decoded.is_inline() && entry->head().raw.size() <= 64 * 1024) {
    std::string again;
    expect(encode_entry(*entry, decoded.note, again), "what is read can be written");
    const Key& key = decoded.spec.key;
    const DecodedEntry second = decode_entry(again, key, arena);
    expect(second.verdict == Decoded::good && second.body == decoded.body, "and read again");
    expect(second.spec.times == decoded.spec.times, "with the same times");
    expect(second.note.stamp == decoded.note.stamp && second.note.keep == decoded.note.keep,
           "and note");
    expect(is_same_vary(second.spec.vary, decoded.spec.vary), "and Vary");
    expect(again.size() <= record.size() + decoded.spec.fields.size() + 1,
           "with no more than a space added in each line");
  }
  Chain chain;
  {
    ChainWriter out(arena.pool(), chain);
    http::ResponseForwarding how;
    const uint64_t length = *decoded.spec.complete_length;
    if (length > 0) how.framing = {http::BodyKind::length, length};
    http::write_response_head(entry->head(), how, "Sun, 06 Nov 1994 08:49:37 GMT", out);
  }
  const std::string text = chain.to_string();
  const auto end = http::HeadScanner().scan(text, kStrict);
  expect(end && *end == text.size(), "what is sent is one head");
  const auto head = http::parse_response_head(text, kStrict, http::Method::get, arena);
  expect(head.has_value(), "what is sent parses strictly");
  expect(head->status == decoded.spec.status, "and has the status");
  expect(head->framing.length == *decoded.spec.complete_length, "and the length");
  http::fuzz::expect_no_hops(head->fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string record(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 1) record = sealed(std::move(record));
  ChunkPool pool;
  Arena arena(pool);
  const Key key = key_of_url(kUrl, kSecret, arena);
  DecodedEntry decoded = decode_entry(record, key, arena);
  if (decoded.verdict == Decoded::good) check_entry(decoded, record, arena);
  const uint64_t length = kBodyChunk + data[size - 1];
  if (const auto bytes = decode_chunk(record, 0, 1, length)) {
    expect(bytes->size() == data[size - 1], "a chunk has the size that its place asks for");
  }
  return 0;
}
