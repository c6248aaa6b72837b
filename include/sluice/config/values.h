// The kinds of scalars: how each is read, checked and written. Rows of the schema refer to them.
#pragma once

#include <string>
#include <string_view>

#include "sluice/base/strings.h"
#include "sluice/base/units.h"
#include "sluice/config/schema.h"

namespace sluice::config {

// Value types, with the C++ type that they fill.
extern const ValueType kDurationValue;         // Duration
extern const ValueType kSizeValue;             // uint64_t
extern const ValueType kCountValue;            // uint32_t; its row may have choices beside numbers
extern const ValueType kStatusValue;           // uint16_t
extern const ValueType kShareValue;            // double
extern const ValueType kPercentValue;          // uint8_t, whole percent
extern const ValueType kBoolValue;             // bool
extern const ValueType kTextValue;             // std::string, not empty
extern const ValueType kFreeTextValue;         // std::string, may be empty
extern const ValueType kNameValue;             // std::string: of pools and routes
extern const ValueType kEndpointNameValue;     // std::string: of endpoints and listeners
extern const ValueType kTokenValue;            // std::string: a method, a cookie name
extern const ValueType kFieldNameValue;        // std::string
extern const ValueType kFieldValueValue;       // std::string
extern const ValueType kPathValue;             // std::string: a request target
extern const ValueType kPrefixValue;           // std::string: a path without its trailing slash
extern const ValueType kAuthorityValue;        // std::string: host[:port]
extern const ValueType kLocationValue;         // std::string
extern const ValueType kFileValue;             // std::string: a file, relative to the naming file
extern const ValueType kLogTargetValue;        // std::string: stdout, stderr or a file
extern const ValueType kRedisUrlValue;         // std::string
extern const ValueType kSecretValue;           // std::string, never shown
extern const ValueType kBindValue;             // BindAddress
extern const ValueType kEndpointAddressValue;  // EndpointAddress
extern const ValueType kCidrValue;             // Cidr
extern const ValueType kStatusRangeValue;      // StatusRange
extern const ValueType kHashByValue;           // HashBy
extern const ValueType kBalanceValue;          // Balance, apart from consistent_hash
extern const ValueType kMatchHostValue;        // Match
extern const ValueType kMatchPathValue;        // Match
extern const ValueType kMatchExactValue;       // Match

// A word of row.choices for an enum (or bool) of one byte.
extern const ValueType kWordValue;
// The same for a uint16_t.
extern const ValueType kStatusWordValue;

// Checks that other rows need too.
Fault check_name(std::string_view text);
Fault check_field_name(std::string_view text);
// A field name that edits may not touch, since sluice frames messages itself.
Fault check_edited_field(std::string_view text);

// "VALUE is not NOUN", with the bytes of `text` that a terminal should not get replaced.
Fault bad_value(std::string_view text, std::string_view what, std::string hint = {});
std::string quoted(std::string_view text);

}  // namespace sluice::config
