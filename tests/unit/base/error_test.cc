#include "sluice/base/error.h"

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <string>

using namespace sluice;

TEST_CASE("base/error: every code has a token of its own, a status that is one, and a help text") {
  std::set<std::string_view> tokens;
  for (unsigned i = 0; i < static_cast<unsigned>(Errc::kCount); ++i) {
    const ErrorRow& row = error_row(static_cast<Errc>(i));
    CAPTURE(row.token);
    CHECK(tokens.insert(row.token).second);
    CHECK((row.status == 0 || (row.status >= 400 && row.status <= 599)));
    CHECK(!row.help.empty());
    CHECK(row.token.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") == row.token.npos);
  }
}

TEST_CASE("base/error: an answer of ours has the Proxy-Status type that RFC 9209 asks for") {
  for (unsigned i = 1; i < static_cast<unsigned>(Errc::kCount); ++i) {
    const ErrorRow& row = error_row(static_cast<Errc>(i));
    CAPTURE(row.token);
    CHECK(row.proxy_status_type.empty() == (row.status == 0));
  }
}

TEST_CASE("base/error: an Error takes origin and retry class from its row") {
  const Error none;
  CHECK(!none);
  const Error refused(Errc::kConnectRefused, "connect", 111);
  CHECK(refused);
  CHECK(refused.origin() == Origin::upstream);
  CHECK(refused.retry() == RetryClass::always);
  CHECK(refused.sys() == 111);
  CHECK(refused.token() == "connect_refused");
  CHECK(std::string(refused.text()) == "connect");
}

namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error(Errc::kBadRequest, "odd");
  return n / 2;
}

Result<int> quarter(int n) {
  SL_TRY(const int first, half(n));
  SL_TRY(const int second, half(first));
  return second;
}

}  // namespace

TEST_CASE("base/error: SL_TRY yields the value or leaves with the error") {
  CHECK(*quarter(8) == 2);
  const Result<int> failed = quarter(6);
  CHECK(!failed);
  CHECK(failed.error().code() == Errc::kBadRequest);
  CHECK(!quarter(8).error());
}

TEST_CASE("base/error: a Result carries a value that can only be moved") {
  Result<std::unique_ptr<int>> made(std::make_unique<int>(7));
  REQUIRE(made);
  std::unique_ptr<int> taken = *std::move(made);
  CHECK(*taken == 7);
}
