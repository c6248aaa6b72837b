// The parts of a representation that an entry has: which bytes are there, which are missing, and
// how ranges of one representation are put together (RFC 9111 sections 3.3 and 3.4). Pure.
//
// Parts stand in order of their first byte, and each ends behind the one before it. Where two of
// them overlap the earlier one counts up to the beginning of the next: so nothing is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sluice/cache/entry.h"
#include "sluice/http/range.h"

namespace sluice::cache {

// An entry has no more of them; ranges that would make more are not stored.
inline constexpr size_t kMostParts = 16;

// Where the part at `i` stops to count. What still grows is taken for what it will be: up to the
// next part or the end.
uint64_t end_of_part(std::span<const EntryPart> parts, size_t i,
                     std::optional<uint64_t> length) noexcept;

// There are bytes that no part has or will bring.
bool has_gaps(std::span<const EntryPart> parts, std::optional<uint64_t> length) noexcept;
bool has_gaps(const Entry& entry) noexcept;

// What should have come of one of its parts will not.
bool is_broken(const Entry& entry) noexcept;

// All bytes of the range are there.
bool covers(std::span<const EntryPart> parts, uint64_t length,
            const http::ByteRange& range) noexcept;

// What to ask for so that nothing is missing: one range from the first gap to the end of the last.
std::optional<http::ByteRange> missing_range(std::span<const EntryPart> parts,
                                             uint64_t length) noexcept;

// Parts of one representation, into `out`, which has room for kMostParts. `added` has the bytes of
// `range`, or will have. Those that another one has already are left out. nullopt: too many.
std::optional<size_t> merge_parts(std::span<const EntryPart> parts, const EntryPart& added,
                                  const http::ByteRange& range, EntryPart* out) noexcept;

// The form to store of an entry whose bodies have ended: one body without waste where it is small,
// and all of it, whatever it came in, since only such a one goes to other tiers; else itself.
// nullptr when the budget refuses.
Ref<Entry> settled(MemoryBudget& budget, Ref<Entry> entry) noexcept;

// Where the content of a 206 belongs.
struct PartPlace {
  http::ByteRange range;
  uint64_t length = 0;  // of the representation
};
// What Content-Range says, against the size that the message has (nullopt: only its end tells).
// nullopt: it is not to be stored. A last range that is shorter than it says is believed its first
// byte where it has no strong validator: nobody may combine it with anything (RFC 9111 section 3.4,
// RFC 9110 section 15.3.7.3), and so no wrong length can do harm. Not if it begins with byte 0: it
// would be a whole response then, of half the bytes (RFC 9111 section 3.3).
std::optional<PartPlace> place_part(const http::ContentRange& said, std::optional<uint64_t> size,
                                    bool is_strong) noexcept;

}  // namespace sluice::cache
