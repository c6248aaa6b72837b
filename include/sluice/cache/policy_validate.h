// Asking an endpoint whether stored responses are still good (RFC 9111 section 4.3). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/clock.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// One stored response of the key.
struct Stored {
  const http::FieldList& fields;
  WallTime received;
};
// Which of them: bit i for the one at i; there are at most 32.
using StoredSet = uint32_t;
inline constexpr size_t kMostStored = 32;

struct Conditions {
  std::string_view if_none_match;      // "": do not send it
  std::string_view if_modified_since;  // the same
  StoredSet asked = 0;                 // whose validators these are
  bool is_empty() const noexcept { return asked == 0; }
};
// What to send in place of the client's own conditions. `matching`: the one that goes with the
// request by Vary, if there is one.
Conditions conditions_for(std::span<const Stored> stored, std::optional<size_t> matching,
                          Arena& arena);

// Whether a stored response that was not chosen by Vary may be offered to the endpoint for the
// request, so that a 304 makes it the answer: only if its tag tells it from every other one of the
// same URL (RFC 9110 section 8.8.1) and the client takes its content coding. Endpoints that give
// one tag to the plain and to the coded form are many.
bool may_select(const Stored& stored, const http::FieldList& request) noexcept;

// If-Range for the missing parts of a response (RFC 9110 section 13.1.5); "" when it has no strong
// validator.
std::string_view range_condition(const Stored& stored) noexcept;
// Parts of these two may make one representation (RFC 9111 section 3.4).
bool may_combine(const Stored& a, const Stored& b) noexcept;

// What the answer to such a question is (RFC 9111 section 4.3.3).
enum class ValidationAnswer : uint8_t {
  not_modified,  // 304: select_stored() says what is to be updated
  replaced,      // this is the response now
  failed         // may_serve_after() says whether the stored one may be sent
};
ValidationAnswer answer_of(int status) noexcept;

// Which of the stored responses a 304 to `asked` speaks of (RFC 9111 section 4.3.4). None: it must
// not be used, and the request has to be sent again without conditions.
StoredSet select_stored(std::span<const Stored> stored, StoredSet asked,
                        const Stored& not_modified) noexcept;

// What a 200 to HEAD says of a stored response to GET (RFC 9111 section 4.3.5). `length` is that of
// the stored representation, where it is known.
enum class HeadEffect : uint8_t { update, mark_stale };
HeadEffect judge_head(const Stored& stored, std::optional<uint64_t> length,
                      const Stored& answer) noexcept;

}  // namespace sluice::cache
