// Complete head bytes to RequestHead and ResponseHead: h1_framing's checks, then llhttp.
//
// `head` is one complete head as found by HeadScanner; it must outlive the result, as must the
// arena that gets the field array. llhttp knows a fixed list of methods: any token is accepted
// here, shown to llhttp as GET, and kept beside. Pure; thread: any; never throws.
#pragma once

#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/error.h"
#include "sluice/http/h1_framing.h"
#include "sluice/http/message.h"

namespace sluice::http {

// Errors: kBadRequest, kBadFraming, kBadHost, kBadTarget, kBadVersion, kTooManyFields,
// kTargetTooLong, kExpectationFailed. CONNECT and TRACE parse; who gets them decides.
Result<RequestHead> parse_request_head(std::string_view head, const HeadLimits& limits,
                                       Arena& arena);

// What can be read of the request line of a head that was refused: method, target and version, or
// nothing. For the log and the form of the answer only.
RequestHead glimpse_request(std::string_view bytes) noexcept;

// Errors: kBadResponse, kResponseHeadTooLarge. `request_method` decides whether there is a body.
Result<ResponseHead> parse_response_head(std::string_view head, const HeadLimits& limits,
                                         Method request_method, Arena& arena);

// Trailer section (RFC 9112 section 7.1.2): field lines and the empty line.
Result<FieldList> parse_trailers(std::string_view lines, const HeadLimits& limits, Arena& arena);

}  // namespace sluice::http
