// Helpers of the config tests.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config/load.h"

namespace sluice::config {

// A base that is fine; tests put their lines behind it.
inline constexpr std::string_view kListener = "listeners: [{name: web, bind: \"127.0.0.1:80\"}]\n";
inline constexpr std::string_view kPool =
    "pools: {api: {endpoints: [{address: \"127.0.0.1:1\"}]}}\n";

inline LoadOptions with_env(std::map<std::string, std::string, std::less<>> env) {
  LoadOptions options;
  options.env = [env](std::string_view name) -> std::optional<std::string> {
    auto found = env.find(name);
    return found == env.end() ? std::nullopt : std::optional(found->second);
  };
  return options;
}

inline LoadResult load(std::string_view text,
                       std::map<std::string, std::string, std::less<>> env = {}) {
  return load_text(std::string(text), "t.yaml", with_env(std::move(env)));
}

// "LINE:COL severity PATH: message" of each diagnostic, without source, caret and hint.
inline std::vector<std::string> heads(const LoadResult& result) {
  std::vector<std::string> lines;
  for (const Diagnostic& each : result.diagnostics) {
    std::string text = format_text(each);
    text.resize(text.find('\n'));
    lines.push_back(text);
  }
  return lines;
}

}  // namespace sluice::config
