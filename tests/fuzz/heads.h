// What the fuzz targets of heads share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/http/forwarding.h"
#include "sluice/http/h1_parser.h"

namespace sluice::http::fuzz {

// A broken promise ends the run as a crash, with the promise in words.
inline void expect(bool kept, const char* promise) {
  if (kept) return;
  std::fprintf(stderr, "broken: %s\n", promise);
  std::abort();
}

inline constexpr HeadLimits kLimits{.head = 2048, .fields = 32, .target = 512};
// What we add may go over the limits of what came.
inline constexpr HeadLimits kWide{.head = 8192, .fields = 64, .target = 4096};

// The end of the head in `bytes`: the same whole, byte by byte, and split in two.
inline Result<size_t> scan_all_ways(std::string_view bytes, size_t split) {
  const auto whole = HeadScanner().scan(bytes, kLimits);
  HeadScanner bytewise, halves;
  Result<size_t> end = size_t{0};
  for (size_t size = 0; size <= bytes.size() && end && *end == 0; ++size) {
    end = bytewise.scan(bytes.substr(0, size), kLimits);
  }
  expect(end.error().code() == whole.error().code(), "bytewise scan fails as the whole does");
  expect(!whole || *end == *whole, "bytewise scan ends as the whole does");
  Result<size_t> part = halves.scan(bytes.substr(0, split), kLimits);
  if (part && *part == 0) part = halves.scan(bytes, kLimits);
  expect(part.error().code() == whole.error().code(), "split scan fails as the whole does");
  expect(!whole || *part == *whole, "split scan ends as the whole does");
  return whole;
}

inline bool is_same_framing(const Framing& a, const Framing& b) {
  return a.kind == b.kind && a.length == b.length;
}

// The next field of `list` from `at` that is neither framing nor one which proxies add or change.
inline const Field* next_plain(const FieldList& list, size_t& at) {
  for (; at < list.size(); ++at) {
    const Field& field = list[at];
    if (field.id != FieldId::kOther && field.id != FieldId::kUserAgent &&
        field.id != FieldId::kCookie && field.id != FieldId::kSetCookie) {
      continue;
    }
    return &list[at++];
  }
  return nullptr;
}

// Plain fields pass in their order with their values, but for those that Connection names.
inline void expect_fields_passed(const FieldList& came, const FieldList& sent) {
  size_t a = 0, b = 0;
  while (const Field* field = next_plain(came, a)) {
    if (is_named_by_connection(came, field->name)) continue;
    const Field* passed = next_plain(sent, b);
    expect(passed != nullptr, "no field is lost");
    expect(passed->name == field->name && passed->value == field->value, "fields pass unchanged");
  }
  expect(next_plain(sent, b) == nullptr, "no field is made up");
}

inline void expect_no_hops(const FieldList& sent) {
  for (const Field& field : sent) {
    const bool ours = field.id == FieldId::kConnection || field.id == FieldId::kTransferEncoding ||
                      (field.id == FieldId::kTe && field.value == "trailers");
    expect(ours || !is_hop_by_hop(field.id), "no hop-by-hop field goes on");
  }
}

}  // namespace sluice::http::fuzz
