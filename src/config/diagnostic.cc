#include "sluice/config/diagnostic.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice::config {

namespace {

constexpr std::string_view kBold = "\x1b[1m", kRed = "\x1b[1;31m", kYellow = "\x1b[1;33m";
constexpr std::string_view kCyan = "\x1b[36m", kReset = "\x1b[0m";

std::string painted(std::string_view text, std::string_view with, bool color) {
  return color ? std::string(with).append(text).append(kReset) : std::string(text);
}

std::string_view severity_text(Severity severity) noexcept {
  return severity == Severity::kError ? "error" : "warning";
}

// The caret stands below its character also where tabs come before it.
std::string caret_line(const Diagnostic& diagnostic) {
  std::string line;
  for (char c : diagnostic.source) {
    if (line.size() >= diagnostic.caret) break;
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) line += c == '\t' ? '\t' : ' ';
  }
  return line.append(diagnostic.caret - std::min<size_t>(line.size(), diagnostic.caret), ' ') + '^';
}

nlohmann::ordered_json as_json(const Diagnostic& diagnostic) {
  return {{"severity", severity_text(diagnostic.severity)},
          {"file", diagnostic.file},
          {"line", diagnostic.line},
          {"col", diagnostic.column},
          {"path", diagnostic.path},
          {"code", diagnostic.code},
          {"message", diagnostic.message},
          {"hint", diagnostic.hint},
          {"included_from", diagnostic.included_from}};
}

// File names may hold any bytes; JSON may not.
std::string dump(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

bool has_errors(const std::vector<Diagnostic>& diagnostics) noexcept {
  return std::ranges::any_of(
      diagnostics, [](const Diagnostic& each) { return each.severity == Severity::kError; });
}

std::string format_text(const Diagnostic& diagnostic, bool color) {
  std::string place = diagnostic.file;
  if (diagnostic.line != 0) {
    place += ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column);
  }
  const bool is_error = diagnostic.severity == Severity::kError;
  std::string text = painted(place + ":", kBold, color) + " ";
  text += painted(std::string(severity_text(diagnostic.severity)) + ":", is_error ? kRed : kYellow,
                  color);
  text += " ";
  if (!diagnostic.path.empty()) text += painted(diagnostic.path + ":", kBold, color) + " ";
  text += diagnostic.message + "\n";
  if (!diagnostic.source.empty()) {
    text += diagnostic.source + "\n" + painted(caret_line(diagnostic), kRed, color) + "\n";
  }
  if (!diagnostic.hint.empty())
    text += painted("hint:", kCyan, color) + " " + diagnostic.hint + "\n";
  for (const std::string& from : diagnostic.included_from) text += "included from " + from + "\n";
  return text;
}

std::string format_text(const std::vector<Diagnostic>& diagnostics, bool color) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += format_text(diagnostic, color);
  return text;
}

std::string format_json(const Diagnostic& diagnostic) { return dump(as_json(diagnostic), -1); }

std::string format_json(const std::vector<Diagnostic>& diagnostics) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Diagnostic& diagnostic : diagnostics) list.push_back(as_json(diagnostic));
  return dump(list, 2);
}

}  // namespace sluice::config
