// Which fields are stored, how newer ones change them, and which go out again (RFC 9111 sections
// 3.1 and 3.2). Pure.
#pragma once

#include <span>

#include "sluice/base/arena.h"
#include "sluice/http/cache_control.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// Not for this hop or its proxy alone (RFC 9111 section 3.1).
bool is_end_to_end(const http::Field& field, const http::FieldList& fields) noexcept;

// May stand in an entry: end to end, not withheld by no-cache="…" or private="…" (RFC 9111 sections
// 5.2.2.4 and 5.2.2.7), and none that is made afresh or for us alone (Age, Surrogate-Key,
// Cache-Tag).
bool is_storable(const http::Field& field, const http::FieldList& fields,
                 const http::ResponseDirectives& directives) noexcept;

// The fields of a stored response after a 304, or a 200 to HEAD, brought `fresh` ones. For
// judge_store(), which leaves out what must not be stored.
std::span<const http::Field> update_fields(const http::FieldList& stored,
                                           const http::FieldList& fresh, Arena& arena);

// Goes out with a 304 that is made of a stored 200: all but what describes content that the client
// has (RFC 9110 section 15.4.5).
bool is_sent_with_304(const http::Field& field, const http::FieldList& fields) noexcept;

}  // namespace sluice::cache
