// Entries as bytes, for the shared tier; and back, from bytes that anybody may have written.
//
// A record: header of 24 bytes (magic, version, kind, size, XXH3 checksum of all else), numbers of
// fixed width, least byte first, then key, Vary fields, tags, head and body. A body up to
// kInlineBody may stand in the record; otherwise the record is an index, and the body stands in
// chunks of their own under an id made for this writing. Who writes puts the chunks first and the
// index last, so that no reader sees half a response. Only whole responses are written, not parts
// of one. Pure.
// The script of shared_put.cc finds in an index of version 2 the length and the id of its body: the
// 16 bytes that stand 4 behind the text of the key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/shared_tier.h"

namespace sluice::cache {

inline constexpr size_t kInlineBody = 256 * 1024;
inline constexpr size_t kBodyChunk = 256 * 1024;
inline constexpr size_t kMostTagsWritten = 256;

constexpr uint64_t chunk_count(uint64_t length) noexcept {
  return length / kBodyChunk + (length % kBodyChunk != 0 ? 1 : 0);
}

// What a record says besides the entry.
struct RecordNote {
  SharedStamp stamp;     // of the tier, before the response was asked for
  Duration keep{};       // how long after its times the entry may still be validated
  uint64_t body_id = 0;  // names the chunks of the body; 0: it is inline
};

// What is left of the time for which such a record is of any use.
Duration life_left(const EntryTimes& times, Duration keep, WallTime now) noexcept;

// Appends the record of a whole entry to `out`. False when it cannot be written: it is not whole,
// or over the limits of the format, such as a body longer than kInlineBody inline.
bool encode_entry(const Entry& entry, const RecordNote& note, std::string& out);
// Appends the record of one chunk of a complete body.
void encode_chunk(const Ref<Body>& body, uint64_t body_id, uint64_t index, std::string& out);

enum class Decoded : uint8_t {
  good,
  other_version,  // of a newer or older sluice: a miss
  other_key,      // two keys of one hash: a miss
  broken          // not what was written: a miss, and worth deleting
};

struct DecodedEntry {
  Decoded verdict = Decoded::broken;
  // Without `started` and parts, which are the caller's; complete_length is set. Views into the
  // bytes and the arena.
  EntrySpec spec;
  RecordNote note;
  std::string_view body;  // when inline
  bool is_inline() const noexcept { return note.body_id == 0; }
};

DecodedEntry decode_entry(std::string_view record, const Key& key, Arena& arena);

// The bytes of a chunk; nullopt when it is broken or not that one of a body of `length`.
std::optional<std::string_view> decode_chunk(std::string_view record, uint64_t body_id,
                                             uint64_t index, uint64_t length) noexcept;

// What the header of a record must say of all its other bytes. Needs at least the header.
uint64_t record_checksum(std::string_view record) noexcept;
inline constexpr size_t kRecordHeader = 24;
inline constexpr size_t kChecksumAt = 16;  // in the header, to its end

}  // namespace sluice::cache
