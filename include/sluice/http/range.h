// Byte ranges: Range, Content-Range and multipart/byteranges (RFC 9110 section 14). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/base/chain.h"
#include "sluice/http/message.h"

namespace sluice::http {

// A list with room for what one request may ask for.
template <typename T>
struct RangeList {
  static constexpr size_t kMost = 64;
  std::array<T, kMost> items;
  size_t count = 0;

  const T* begin() const noexcept { return items.data(); }
  const T* end() const noexcept { return items.data() + count; }
  const T& operator[](size_t i) const noexcept { return items[i]; }
};

// "first-last", "first-" or "-suffix"; numbers saturate.
struct RangeSpec {
  std::optional<uint64_t> first;
  std::optional<uint64_t> last;  // without `first`: the length of the suffix
};
using RangeSpecs = RangeList<RangeSpec>;

// nullopt when Range does not count: no GET, another unit than bytes, a bad or repeated field, or
// more ranges than fit (RFC 9110 section 14.2). If-Range is the caller's.
std::optional<RangeSpecs> parse_range(const RequestHead& request) noexcept;

struct ByteRange {
  uint64_t first = 0;
  uint64_t last = 0;  // itself included
  uint64_t size() const noexcept { return last - first + 1; }
};
using ByteRanges = RangeList<ByteRange>;

enum class RangeVerdict : uint8_t {
  whole,         // Range is best ignored: it asks for the same bytes over and over (section 14.2)
  partial,       // 206 with the ranges
  unsatisfiable  // 416
};
// What the specs mean for a representation of `length` bytes, in the order asked for. Those that
// cannot be met are left out, those that overlap or touch are joined (section 15.3.7.2).
RangeVerdict resolve_ranges(const RangeSpecs& specs, uint64_t length, ByteRanges& out) noexcept;

// RFC 9110 section 14.4.
struct ContentRange {
  std::optional<ByteRange> range;  // absent in "bytes */123"
  std::optional<uint64_t> length;  // absent in "bytes 0-1/*"
};
std::optional<ContentRange> parse_content_range(std::string_view value) noexcept;
// The value into `out`, which has room for kMostContentRange bytes; returns its size. At least one
// of the two parts must be there.
inline constexpr size_t kMostContentRange = 72;
size_t write_content_range(char* out, const ContentRange& range) noexcept;

// The frame of a multipart/byteranges body (RFC 9110 section 14.6), around parts that the caller
// sends.
class MultipartRanges {
 public:
  // The views must outlive this. `boundary`: 1-70 token characters that the content does not hold.
  // `content_type` may be empty: then the parts have none.
  MultipartRanges(std::string_view boundary, std::string_view content_type,
                  uint64_t length) noexcept
      : boundary_(boundary), content_type_(content_type), length_(length) {}

  static constexpr std::string_view kContentType = "multipart/byteranges; boundary=";
  // Content-Length of the whole.
  uint64_t body_size(const ByteRanges& ranges) const noexcept;
  void write_part_head(const ByteRange& range, ChainWriter& out) const;
  void write_end(ChainWriter& out) const;

 private:
  size_t part_head_size(const ByteRange& range) const noexcept;
  size_t end_size() const noexcept;

  std::string_view boundary_;
  std::string_view content_type_;
  uint64_t length_;
};

}  // namespace sluice::http
