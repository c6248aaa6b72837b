// Which stored response goes with a request (RFC 9111 section 4.1). Pure; texts live in the arena.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/cache/entry.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// Variants that one key may have; the oldest gives way.
inline constexpr size_t kMostVariants = 32;
// Names in a response's Vary; one with more is treated as "*".
inline constexpr size_t kMostVaryNames = 16;

// The names that a response's Vary nominates: lower case, sorted, each once. nullopt: it matches no
// other request ("*", or too long or malformed to tell).
std::optional<std::span<const std::string_view>> vary_names(const http::FieldList& response,
                                                            Arena& arena);

// Those fields of the request in normal form.
std::span<const VaryField> vary_of(std::span<const std::string_view> names,
                                   const http::FieldList& request, Arena& arena);

bool is_same_vary(std::span<const VaryField> a, std::span<const VaryField> b) noexcept;

// Of the variants of one key the one to answer this request with, or nullptr: the most recent of
// those that match; else one in a language that the request likes best, if all but Accept-Language
// matches.
Entry* choose_variant(std::span<const Ref<Entry>> variants, const http::FieldList& request,
                      Arena& arena);
// The same among what entries may be made of.
const EntrySpec* choose_variant(std::span<const EntrySpec* const> variants,
                                const http::FieldList& request, Arena& arena);

}  // namespace sluice::cache
