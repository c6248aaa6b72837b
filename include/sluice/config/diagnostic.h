// What is wrong with a configuration, as data: `sluice check`, a reload and the admin API print the
// same findings as text or JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::config {

enum class Severity : uint8_t { kWarning, kError };

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;
  uint32_t line = 0;  // 1-based; 0: the file as a whole
  uint32_t column = 0;
  std::string path;  // "pools.api.endpoints[1].wieght"; empty for YAML syntax and unreadable files
  std::string code;  // a closed list, see docs: "unknown_key", "bad_value", ...
  std::string message;  // one line
  std::string hint;     // one line, may be empty
  std::string source;   // the line it points at, clipped and without control characters
  uint32_t caret = 0;   // 0-based place of the caret below `source`, in characters
  std::vector<std::string> included_from;  // "sluice.yaml:3", innermost first
};

bool has_errors(const std::vector<Diagnostic>& diagnostics) noexcept;

// FILE:LINE:COL: error: PATH: message, the source line, a caret, and what there is of "hint: ..."
// and "included from ..."; ends with a newline. `color` adds ANSI colours.
std::string format_text(const Diagnostic& diagnostic, bool color = false);
std::string format_text(const std::vector<Diagnostic>& diagnostics, bool color = false);

// {"severity","file","line","col","path","code","message","hint","included_from"}; the list form is
// an array.
std::string format_json(const Diagnostic& diagnostic);
std::string format_json(const std::vector<Diagnostic>& diagnostics);

}  // namespace sluice::config
