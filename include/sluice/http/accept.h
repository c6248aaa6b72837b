// The request fields that Vary names, brought to one spelling for each meaning (RFC 9111 section
// 4.1), and the weight a client gives to a language. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/http/message.h"

namespace sluice::http {

// All lines of the field `name` as one text, the same for requests that mean the same; nullopt when
// there is none, which matches only another request without it. Never longer than what came and its
// lines' commas.
//
// Accept-Encoding and Accept-Language: lower case, no white space, members by falling weight and
// then by name, weights as short as can be, nothing twice. What a client refuses (q=0) stays only
// where leaving it out would say something else: beside "*", for identity, and for languages, where
// "en, en-gb;q=0" is less than "en". What does not parse so, and any other field: white space gone
// around commas and a single space elsewhere, but for quoted strings.
std::optional<std::string_view> normal_selecting_field(const FieldList& request,
                                                       std::string_view name,
                                                       Arena& arena) noexcept;

// Whether content in these codings (Content-Encoding; "" for none) may go to who sent this request
// without having been chosen for it. RFC 9110 section 12.5.3 lets any be sent where there is no
// Accept-Encoding; clients without it mostly know none, so that counts as refused here.
bool accepts_codings(const FieldList& request, std::string_view content_encoding) noexcept;

// Weights are thousandths: 1000 is q=1 (RFC 9110 section 12.4.2).
struct LanguageWeight {
  uint16_t weight = 0;  // of the language; 0: refused, or not asked for
  uint16_t best = 0;    // the highest that the client gave to any
  // No other language could be liked better.
  bool is_best() const noexcept { return weight > 0 && weight == best; }
};
// What Accept-Language gives to a response by its Content-Language, of whose tags the best liked
// counts. Only a range that is the very tag counts: "fr" filters "fr-CA" in (RFC 4647 section
// 3.3.1), but an endpoint that has a page for France would not send the Canadian one. Without
// Accept-Language all are liked alike.
LanguageWeight weigh_language(const FieldList& request, std::string_view content_language) noexcept;

}  // namespace sluice::http
