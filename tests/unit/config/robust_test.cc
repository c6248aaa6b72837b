// Files that are broken in any way end in diagnostics, never in a crash or an exception.
#include <doctest/doctest.h>

#include <string>

#include "sluice/config/render.h"
#include "tests/unit/config/config_testing.h"

namespace sluice::config {

namespace {

// The same numbers in every run (splitmix64).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}
  size_t below(size_t bound) {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<size_t>((z ^ (z >> 31)) % bound);
  }

 private:
  uint64_t state_;
};

constexpr std::string_view kBits[] = {"\t",    "\n",
                                      "  ",    ":",
                                      "- ",    "[",
                                      "]",     "{",
                                      "}",     "\"",
                                      "'",     "&a ",
                                      "*a",    "!x",
                                      "|",     ">",
                                      "#",     "${X}",
                                      "${X:-", "0",
                                      "-1",    "99999999999999999999",
                                      "~",     "<<: ",
                                      "? ",    "\xff",
                                      "\x04",  "%",
                                      "@",     ",",
                                      "---\n", "...\n"};

std::string mutated(std::string text, Numbers& numbers) {
  for (size_t count = 1 + numbers.below(4); count > 0 && !text.empty(); --count) {
    const size_t at = numbers.below(text.size());
    const size_t length = std::min(numbers.below(12), text.size() - at);
    switch (numbers.below(4)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, kBits[numbers.below(std::size(kBits))]);
        break;
      case 2:
        text.replace(at, length, kBits[numbers.below(std::size(kBits))]);
        break;
      default:
        text.insert(at, text.substr(numbers.below(text.size()), numbers.below(40)));
        break;
    }
  }
  return text;
}

void check_sane(const LoadResult& result) {
  CHECK(result.ok() == !has_errors(result.diagnostics));
  uint32_t line = 0;
  for (const Diagnostic& each : result.diagnostics) {
    CHECK(each.line >= line);
    CHECK(each.column >= 1);
    CHECK_FALSE(each.message.empty());
    CHECK_FALSE(each.code.empty());
    CHECK(each.message.find('\n') == std::string::npos);
    line = each.line;
  }
  CHECK_NOTHROW(format_text(result.diagnostics, true));
  CHECK_NOTHROW(format_json(result.diagnostics));
}

}  // namespace

TEST_CASE("config/robust: random changes to a good file") {
  const std::string good = reference_yaml();
  // Without most comments, so that changes hit what is read.
  std::string dense;
  for (size_t at = 0; at < good.size();) {
    const size_t end = good.find('\n', at);
    const std::string line = good.substr(at, end - at + 1);
    if (line.find('#') == std::string::npos && line != "\n") dense += line;
    at = end + 1;
  }
  REQUIRE(load(dense).ok());
  Numbers numbers(1);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = mutated(dense, numbers);
    CAPTURE(text);
    const LoadResult result = load(text, {{"X", "x"}});
    check_sane(result);
    if (result.ok()) CHECK_NOTHROW(print_effective(*result.config, result.origins));
  }
}

TEST_CASE("config/robust: random text") {
  Numbers numbers(2);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (size_t count = numbers.below(40); count > 0; --count) {
      if (numbers.below(3) == 0) text += "listeners";
      text += kBits[numbers.below(std::size(kBits))];
    }
    CAPTURE(text);
    check_sane(load(text));
  }
}

}  // namespace sluice::config
