#include "sluice/base/check.h"

#include <doctest/doctest.h>
#include <string.h>

#include "tests/unit/base/helpers.h"

using namespace sluice;
using test::die_in_child;

namespace {

void print_what(int fd, const void* what) noexcept {
  const auto* text = static_cast<const char*>(what);
  if (write(fd, text, strlen(text)) < 0) return;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("base/check: a failed check reports expression, place, version, context and aborts") {
  const test::Death death = die_in_child([] {
    install_crash_reports("sluice 1.2.3");
    set_crash_context(print_what, "exchange 42 in step connect\n");
    SL_CHECK(1 + 1 == 3);
  });
  CHECK(death.signal == SIGABRT);
  CHECK(contains(death.output, "check failed: 1 + 1 == 3 at "));
  CHECK(contains(death.output, "check_test.cc:"));
  CHECK(contains(death.output, "sluice 1.2.3"));
  CHECK(contains(death.output, "exchange 42 in step connect"));
  CHECK(contains(death.output, "backtrace:"));
  CHECK(!contains(death.output, "SIGABRT"));  // one report, not two
}

TEST_CASE("base/check: a check that holds costs nothing and says nothing") {
  const test::Death death = die_in_child([] { SL_CHECK(true); });
  CHECK(death.signal == 0);
  CHECK(death.output.empty());
}

TEST_CASE("base/check: a fatal signal is reported and still kills") {
  const test::Death death = die_in_child([] {
    install_crash_reports("v");
    raise(SIGSEGV);
  });
  CHECK(death.signal == SIGSEGV);
  CHECK(contains(death.output, "crash: SIGSEGV"));
}

TEST_CASE("base/check: a context that fails itself does not report for ever") {
  const test::Death death = die_in_child([] {
    install_crash_reports("v");
    set_crash_context([](int, const void*) noexcept { SL_CHECK(false); }, "x");
    SL_CHECK(!"first");
  });
  CHECK(death.signal == SIGABRT);
  CHECK(contains(death.output, "first"));
}
