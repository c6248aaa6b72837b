// What the tests of the policy share: a moment, requests and responses of few words.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/strings.h"
#include "sluice/cache/policy_store.h"
#include "tests/unit/http/field_rows.h"

namespace sluice::cache::test {

using http::test::FieldRows;

// Sun, 06 Nov 1994 08:49:37 GMT, and what is 1000 s before and after.
inline constexpr WallTime kNow{std::chrono::seconds(784111777)};
inline constexpr std::string_view kDateNow = "Sun, 06 Nov 1994 08:49:37 GMT";
inline constexpr std::string_view kDateBefore = "Sun, 06 Nov 1994 08:32:57 GMT";
inline constexpr std::string_view kDateAfter = "Sun, 06 Nov 1994 09:06:17 GMT";

constexpr Duration operator""_s(unsigned long long n) { return std::chrono::seconds(n); }

inline const KeyUrl kUrl{"http", "shop.example", "/a/b?q=1"};

struct Case {
  FieldRows response;
  int status = 200;
  FieldRows request = {};
  http::Method method = http::Method::get;
  Duration delay{};  // between the request and the head of its response
};

class Judge {
 public:
  StorePlan store(const Case& row, const CacheRules& rules = {}) {
    http::RequestHead request;
    request.method = row.method;
    request.fields = row.request;
    http::ResponseHead response;
    response.status = row.status;
    response.reason = "Reason";
    response.fields = row.response;
    return judge_store({.request = request,
                        .url = kUrl,
                        .response = response,
                        .sent = kNow - row.delay,
                        .came = kNow,
                        .random = random,
                        .is_update = is_update,
                        .old_tags = old_tags},
                       rules, arena);
  }

  ChunkPool pool;
  Arena arena{pool};
  uint32_t random = 0;
  bool is_update = false;
  std::span<const EntryTag> old_tags;
};

// The values of all fields of that name, joined by "|".
inline std::string values_of(std::span<const http::Field> fields, std::string_view name) {
  std::string out;
  for (const http::Field& field : fields) {
    if (!equals_ignore_case(field.name, name)) continue;
    if (!out.empty()) out += '|';
    out += field.value;
  }
  return out;
}

}  // namespace sluice::cache::test
