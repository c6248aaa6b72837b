#include "sluice/cache/entry_codec.h"

#include <string>

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

constexpr uint64_t kId = 0x1122334455667788;
constexpr SharedStamp kStamp{0xABCDEF0123456789, 42};
constexpr Duration kKeep = std::chrono::hours(3);
constexpr RecordNote kInline{kStamp, kKeep};
constexpr RecordNote kIndex{kStamp, kKeep, kId};

struct Codec {
  MemoryBudget budget{1 << 30};
  Memory memory;
  Key key = memory.key("/a?b");

  std::string encode(const Made& made = {}, const RecordNote& note = kInline) {
    const Ref<Entry> entry = make_entry(budget, key, made);
    std::string out;
    CHECK(encode_entry(*entry, note, out));
    return out;
  }
  DecodedEntry decode(std::string_view record) { return decode_entry(record, key, memory.arena); }
  Decoded verdict(std::string_view record) { return decode(record).verdict; }
};

// The record with the checksum and size that its bytes ask for.
std::string sealed(std::string record) {
  uint64_t size = record.size();
  for (size_t i = 0; i < 8; ++i, size >>= 8) record[8 + i] = static_cast<char>(size);
  uint64_t sum = record_checksum(record);
  for (size_t i = 0; i < 8; ++i, sum >>= 8) record[kChecksumAt + i] = static_cast<char>(sum);
  return record;
}

Made full() {
  Made made;
  made.response = {{"ETag", "\"1\""}, {"Vary", "A, B"}, {"X-Empty", ""}, {"Content-Length", "5"}};
  made.request = {{"b", "1,2"}};
  made.tags = {"x", "y"};
  return made;
}

}  // namespace

TEST_CASE("cache/entry_codec: what was written is read, and makes the same entry") {
  Codec codec;
  const Ref<Entry> entry = make_entry(codec.budget, codec.key, full());
  EntrySpec spec = entry->spec();
  spec.flags = EntryFlag::must_revalidate | EntryFlag::heuristic;
  spec.times.initial_age = std::chrono::milliseconds(1500);
  spec.times.stale_if_error = std::chrono::hours(24 * 365 * 60);
  const Ref<Entry> written = Entry::make(codec.budget, spec);
  std::string record;
  REQUIRE(encode_entry(*written, kInline, record));

  DecodedEntry decoded = codec.decode(record);
  REQUIRE(decoded.verdict == Decoded::good);
  CHECK(decoded.is_inline());
  CHECK(decoded.body == "hello");
  CHECK(decoded.spec.times == spec.times);
  CHECK(decoded.spec.complete_length == 5);
  const EntryPart part{0, Body::copy_of(codec.budget, decoded.body)};
  decoded.spec.parts = {&part, 1};
  const Ref<Entry> read = Entry::make(codec.budget, decoded.spec);
  CHECK(read->head().raw == written->head().raw);
  CHECK(read->key().text == written->key().text);
  CHECK(read->key().url == written->key().url);
  CHECK(is_same_vary(read->vary(), written->vary()));
  CHECK(read->has(EntryFlag::heuristic));
  CHECK_FALSE(read->has(EntryFlag::no_cache));
  REQUIRE(read->tags().size() == 2);
  CHECK(read->tags()[0].hash == tag_hash("x"));
  CHECK(decoded.note.stamp == kStamp);
  CHECK(decoded.note.keep == kKeep);
  std::string again;
  CHECK(encode_entry(*read, decoded.note, again));
  CHECK(again == record);
}

TEST_CASE("cache/entry_codec: a body over 256 KiB stands in chunks under the id of its writing") {
  Codec codec;
  Made made;
  made.body = std::string(600'000, '\0');
  for (size_t i = 0; i < made.body.size(); ++i) made.body[i] = static_cast<char>(i % 251);
  const Ref<Entry> entry = make_entry(codec.budget, codec.key, made);
  std::string index;
  CHECK_FALSE(encode_entry(*entry, kInline, index));
  CHECK(index.empty());
  REQUIRE(encode_entry(*entry, kIndex, index));
  CHECK(index.size() < 1000);
  const DecodedEntry decoded = codec.decode(index);
  REQUIRE(decoded.verdict == Decoded::good);
  CHECK_FALSE(decoded.is_inline());
  CHECK(decoded.note.body_id == kId);
  const uint64_t length = *decoded.spec.complete_length;
  CHECK(length == 600'000);
  REQUIRE(chunk_count(length) == 3);
  std::string body;
  for (uint64_t i = 0; i < 3; ++i) {
    std::string chunk;
    encode_chunk(entry->parts()[0].body, kId, i, chunk);
    const auto bytes = decode_chunk(chunk, kId, i, length);
    REQUIRE(bytes);
    body += *bytes;
    CHECK_FALSE(decode_chunk(chunk, kId + 1, i, length));  // of another writing
    CHECK_FALSE(decode_chunk(chunk, kId, i + 1, length));
    if (i == 2) CHECK_FALSE(decode_chunk(chunk, kId, i, length - 1));
    chunk[100] ^= 1;
    CHECK_FALSE(decode_chunk(chunk, kId, i, length));
    CHECK(codec.verdict(chunk) == Decoded::broken);
  }
  CHECK(body == made.body);
  CHECK_FALSE(decode_chunk(index, kId, 0, length));
  CHECK(chunk_count(0) == 0);
  CHECK(chunk_count(kBodyChunk) == 1);
  CHECK(chunk_count(UINT64_MAX) == UINT64_MAX / kBodyChunk + 1);
  CHECK_FALSE(decode_chunk(index, 0, UINT64_MAX, UINT64_MAX));
}

TEST_CASE("cache/entry_codec: a body up to 256 KiB may be inline, any but an empty one in chunks") {
  Codec codec;
  for (const size_t size : {size_t{0}, size_t{1}, kInlineBody, kInlineBody + 1}) {
    Made made;
    made.body = std::string(size, 'x');
    const Ref<Entry> entry = make_entry(codec.budget, codec.key, made);
    for (const RecordNote& note : {kInline, kIndex}) {
      std::string record;
      const bool fits = note.body_id == 0 ? size <= kInlineBody : size > 0;
      CHECK(encode_entry(*entry, note, record) == fits);
      if (!fits) continue;
      const DecodedEntry decoded = codec.decode(record);
      CHECK(decoded.verdict == Decoded::good);
      CHECK(decoded.is_inline() == (note.body_id == 0));
      CHECK(decoded.spec.complete_length == size);
      if (decoded.is_inline()) CHECK(decoded.body == made.body);
    }
  }
}

TEST_CASE("cache/entry_codec: another version or key is a miss, and not broken") {
  Codec codec;
  std::string record = codec.encode();
  record[4] = 1;
  CHECK(codec.verdict(record) == Decoded::other_version);
  const std::string other = codec.encode();
  const Key key = codec.memory.key("/a?c");
  CHECK(decode_entry(other, key, codec.memory.arena).verdict == Decoded::other_key);
}

TEST_CASE("cache/entry_codec: any byte changed or missing is noticed") {
  Codec codec;
  const std::string record = codec.encode(full());
  for (size_t i = 0; i < record.size(); ++i) {
    std::string changed = record;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    CHECK(codec.verdict(changed) != Decoded::good);
    CHECK(codec.verdict(record.substr(0, i)) == Decoded::broken);
  }
  CHECK(codec.verdict(record + "x") == Decoded::broken);
}

TEST_CASE("cache/entry_codec: cut short under a right checksum it is broken, not read beyond") {
  Codec codec;
  const std::string record = codec.encode(full());
  for (size_t i = kRecordHeader; i < record.size(); ++i) {
    CHECK(codec.verdict(sealed(record.substr(0, i))) != Decoded::good);
  }
  CHECK(codec.verdict(sealed(record + "x")) == Decoded::broken);
  CHECK(codec.verdict(sealed(record)) == Decoded::good);
}

TEST_CASE("cache/entry_codec: a head that we would not send is broken, whoever sealed it") {
  Codec codec;
  const std::string name = "X-Empty: ", good = codec.encode(full());
  REQUIRE(good.find(name) != std::string::npos);
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string record = good;
    record.replace(record.find(from), from.size(), to);
    return codec.verdict(sealed(record));
  };
  CHECK(with("X-Empty: ", "X-Emptz: ") == Decoded::good);
  CHECK(with("X-Empty: ", "X Empty: ") == Decoded::broken);
  CHECK(with("X-Empty: ", "X-Empty :") == Decoded::broken);
  CHECK(with("X-Empty: ", ": X-Empty") == Decoded::broken);
  CHECK(with("X-Empty: ", " -Empty: ") == Decoded::broken);  // a folded line
  CHECK(with("X-Empty: ", "Upgrade:a") == Decoded::broken);
  CHECK(with("ETag: \"1\"\r\n", "Te: trail\r\n") == Decoded::broken);
  CHECK(with("\"1\"", "\r\na") == Decoded::broken);
  CHECK(with("\"1\"", std::string_view("a\0b", 3)) == Decoded::broken);
  CHECK(with("\"1\"", "a\nb") == Decoded::broken);
  CHECK(with("\"1\"", "a\rb") == Decoded::broken);
  CHECK(with("Content-Length: 5", "Content-Length: 6") == Decoded::broken);
  CHECK(with("Content-Length: 5", "Content-Length: x") == Decoded::broken);
  CHECK(with("HTTP/1.1 200", "HTTP/1.1 201") == Decoded::broken);  // not the status beside it
  CHECK(with("HTTP/1.1 200", "HTTP/1.0 200") == Decoded::broken);
  CHECK(with("X-Empty: \r\n", "X:\r\n\r\nX:1\r\n") == Decoded::broken);  // ends before its end
}

TEST_CASE("cache/entry_codec: numbers out of range are broken") {
  Codec codec;
  const std::string good = codec.encode(full());
  const size_t numbers = kRecordHeader + 4 + codec.key.text.size();
  const auto with = [&](size_t at, std::string_view bytes) {
    std::string record = good;
    record.replace(numbers + at, bytes.size(), bytes);
    return codec.verdict(sealed(record));
  };
  const std::string huge(8, '\x7f'), negative(8, '\xff'), zero(8, '\0');
  CHECK(with(0, std::string_view("\xc8\0", 2)) == Decoded::good);    // status 200
  CHECK(with(0, std::string_view("\x64\0", 2)) == Decoded::broken);  // 100
  CHECK(with(0, "\xff\xff") == Decoded::broken);
  for (const std::string_view status : {"204", "206", "304"}) {  // they have no whole body
    std::string record = good;
    record.replace(record.find("200 OK"), 3, status);
    const int number = std::stoi(std::string(status));
    record[numbers] = static_cast<char>(number),
    record[numbers + 1] = static_cast<char>(number >> 8);
    CHECK(codec.verdict(sealed(record)) == Decoded::broken);
  }
  CHECK(with(2, "\x1f") == Decoded::good);    // all flags
  CHECK(with(2, "\x20") == Decoded::broken);  // one we do not know
  CHECK(with(4, huge) == Decoded::broken);    // length
  CHECK(with(4, zero) == Decoded::broken);
  for (size_t time = 0; time < 7; ++time) {
    CHECK(with(44 + 8 * time, zero) == Decoded::good);
    CHECK(with(44 + 8 * time, huge) == Decoded::broken);
    CHECK(with(44 + 8 * time, negative) == Decoded::broken);
  }
  CHECK(with(12, huge) == Decoded::broken);    // the id of chunks, in a record that has the body
  CHECK(with(20, negative) == Decoded::good);  // epoch
  CHECK(with(28, negative) == Decoded::good);  // number
  CHECK(with(36, zero) == Decoded::good);      // for how long it is kept
  CHECK(with(36, huge) == Decoded::broken);
  CHECK(with(36, negative) == Decoded::broken);
  CHECK(with(100, "\xff\xff") == Decoded::broken);  // Vary fields
  std::string tags = good;
  const size_t tags_at = good.find("HTTP/1.1") - 4 - 2 * 8 - 2;
  tags.replace(tags_at, 2, "\xff\xff");
  CHECK(codec.verdict(sealed(tags)) == Decoded::broken);
  std::string names = good;  // Vary: a, b in the wrong order
  const size_t a = numbers + 100 + 2 + 7;
  REQUIRE(names[a] == 'a');
  names[a] = 'c';
  CHECK(codec.verdict(sealed(names)) == Decoded::broken);
  names[a] = 'A';
  CHECK(codec.verdict(sealed(names)) == Decoded::broken);
}

TEST_CASE(
    "cache/entry_codec: what is not whole, or over the limits of the format, is not written") {
  Codec codec;
  std::string out;
  const Ref<Entry> base = make_entry(codec.budget, codec.key);
  EntrySpec spec = base->spec();
  const EntryPart part{3, base->parts()[0].body};
  spec.parts = {&part, 1};
  CHECK_FALSE(encode_entry(*Entry::make(codec.budget, spec), kInline, out));
  spec = base->spec();
  const std::vector<EntryTag> tags(kMostTagsWritten + 1);
  spec.tags = tags;
  CHECK_FALSE(encode_entry(*Entry::make(codec.budget, spec), kInline, out));
  spec = base->spec();
  Fields::Lines lines(300, {"A", "b"});
  const Fields many(std::move(lines));
  spec.fields = many.all();
  CHECK_FALSE(encode_entry(*Entry::make(codec.budget, spec), kInline, out));
  for (const Duration keep : {Duration{-1}, Duration::max()}) {
    CHECK_FALSE(encode_entry(*base, {kStamp, keep}, out));
  }
  CHECK(out.empty());
}

TEST_CASE("cache/entry_codec: of use until freshness, the longer window and the keeping are over") {
  EntryTimes times;
  times.response = at_second(1000);
  times.initial_age = std::chrono::seconds(5);
  times.freshness = std::chrono::seconds(60);
  times.stale_while_revalidate = std::chrono::seconds(10);
  times.stale_if_error = std::chrono::seconds(30);
  const Duration keep = std::chrono::seconds(100);
  CHECK(life_left(times, keep, at_second(1000)) == std::chrono::seconds(185));
  CHECK(life_left(times, keep, at_second(1185)) == Duration{0});
  CHECK(life_left(times, keep, at_second(1186)) == std::chrono::seconds(-1));
  // The clock of who wrote it is ahead of ours
  CHECK(life_left(times, keep, at_second(10)) == std::chrono::seconds(185));
}
