#include "sluice/http/message.h"

#include <doctest/doctest.h>

using namespace sluice::http;

TEST_CASE("http/message: methods are case-sensitive (RFC 9110 9.1)") {
  struct Row {
    std::string_view token;
    Method method;
    bool safe, idempotent;
  };
  const Row rows[] = {
      {"GET", Method::get, true, true},         {"HEAD", Method::head, true, true},
      {"POST", Method::post, false, false},     {"PUT", Method::put, false, true},
      {"DELETE", Method::delete_, false, true}, {"OPTIONS", Method::options, true, true},
      {"PATCH", Method::patch, false, false},   {"CONNECT", Method::connect, false, false},
      {"TRACE", Method::trace, true, true},     {"get", Method::other, false, false},
      {"PURGE", Method::other, false, false},   {"", Method::other, false, false},
      {"GETS", Method::other, false, false},    {"M-SEARCH", Method::other, false, false},
      {"UNLOCK", Method::other, false, false},  {"OPTIONs", Method::other, false, false},
      {"MERGE", Method::other, false, false},   {"ACL", Method::other, false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.token);
    CHECK(method_of(row.token) == row.method);
    CHECK(is_safe(row.method) == row.safe);
    CHECK(is_idempotent(row.method) == row.idempotent);
  }
}

TEST_CASE("http/message: reason phrases") {
  CHECK(reason_phrase(200) == "OK");
  CHECK(reason_phrase(431) == "Request Header Fields Too Large");
  CHECK(reason_phrase(299) == "");
}
