// The words of the file for enums, in one place for reading, writing, messages and the JSON Schema.
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/config/config.h"

namespace sluice::config {

struct Choice {
  std::string_view word;
  uint64_t value = 0;
};

template <typename E>
constexpr Choice word_for(std::string_view word, E value) {
  return {word, static_cast<uint64_t>(value)};
}

// consistent_hash is spelled as a map, not as one of these words.
inline constexpr Choice kBalanceWords[] = {
    word_for("round_robin", Balance::Kind::kRoundRobin),
    word_for("weighted", Balance::Kind::kWeighted),
    word_for("least_conn", Balance::Kind::kLeastConn),
    word_for("random_two", Balance::Kind::kRandomTwo),
    word_for("ewma", Balance::Kind::kEwma),
};
inline constexpr Choice kHealthWords[] = {
    word_for("tcp", Health::Type::kTcp),
    word_for("http", Health::Type::kHttp),
    word_for("off", Health::Type::kOff),
};
inline constexpr Choice kInitialWords[] = {{"up", 1}, {"down", 0}};
inline constexpr Choice kWhenAllDownWords[] = {
    word_for("fail", WhenAllDown::kFail),
    word_for("try_all", WhenAllDown::kTryAll),
};
inline constexpr Choice kLogFormatWords[] = {
    word_for("json", AccessLog::Format::kJson),
    word_for("combined", AccessLog::Format::kCombined),
    word_for("off", AccessLog::Format::kOff),
};
inline constexpr Choice kSetCookieWords[] = {
    word_for("when_explicit", StoreSetCookie::kWhenExplicit),
    word_for("never", StoreSetCookie::kNever),
};
inline constexpr Choice kWorkersWords[] = {{"auto", 0}};
inline constexpr Choice kRedirectStatuses[] = {
    {"301", 301}, {"302", 302}, {"303", 303}, {"307", 307}, {"308", 308}};

}  // namespace sluice::config
