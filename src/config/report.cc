#include "sluice/config/report.h"

#include <algorithm>
#include <tuple>

namespace sluice::config {

namespace {

constexpr size_t kMaxDiagnostics = 1000;
constexpr size_t kMaxSourceBytes = 160;
constexpr size_t kBytesBeforeCaret = 100;

// A key or value may hold what a terminal would act on.
std::string printable(std::string text) {
  for (char& c : text) {
    if ((c >= 0 && c < ' ') || c == 0x7f) c = '?';
  }
  return text;
}

bool continues_character(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

uint32_t Report::add_file(std::string name, std::string text, Place included_from) {
  File file{std::move(name), std::move(text), {0}, included_from};
  for (size_t i = 0; i < file.text.size(); ++i) {
    if (file.text[i] == '\n') file.line_starts.push_back(i + 1);
  }
  files_.push_back(std::move(file));
  return static_cast<uint32_t>(files_.size() - 1);
}

std::vector<std::string> Report::file_names() const {
  std::vector<std::string> names;
  names.reserve(files_.size());
  for (const File& file : files_) names.push_back(file.name);
  return names;
}

std::string_view Report::folder(uint32_t index) const {
  const std::string_view name = files_[index].name;
  return name.substr(0, name.rfind('/') + 1);
}

std::string_view Report::line(uint32_t index, uint32_t number) const {
  const File& file = files_[index];
  if (number == 0 || number > file.line_starts.size()) return {};
  const std::string_view rest = std::string_view(file.text).substr(file.line_starts[number - 1]);
  return rest.substr(0, rest.find_first_of("\r\n"));
}

std::string Report::where(Place place) const {
  return files_[place.file].name + ":" + std::to_string(place.line);
}

bool Report::has_errors_below(std::string_view path) const noexcept {
  return std::ranges::any_of(found_, [&](const Found& found) {
    return found.diagnostic.severity == Severity::kError && found.diagnostic.path.starts_with(path);
  });
}

void Report::only_error(Place place, Fault fault) {
  found_.clear();
  error(place, {}, std::move(fault));
}

std::vector<Diagnostic> Report::take() {
  std::ranges::stable_sort(found_, {}, [](const Found& found) {
    return std::tuple(found.place.file, found.place.line, found.place.column);
  });
  std::vector<Diagnostic> diagnostics;
  diagnostics.reserve(found_.size());
  for (Found& found : found_) {
    const std::pair line(found.place.file, found.place.line);
    if (std::ranges::find(hidden_, line) != hidden_.end()) found.diagnostic.source.clear();
    diagnostics.push_back(std::move(found.diagnostic));
  }
  found_.clear();
  return diagnostics;
}

void Report::add(Severity severity, Place place, std::string path, Fault fault) {
  if (severity == Severity::kError) ++errors_;
  if (found_.size() >= kMaxDiagnostics) return;
  Diagnostic diagnostic;
  diagnostic.severity = severity;
  diagnostic.path = printable(std::move(path));
  diagnostic.code = std::string(fault.code);
  diagnostic.message = printable(std::move(fault.message));
  diagnostic.hint = printable(std::move(fault.hint));
  point_at(place, &diagnostic);
  found_.push_back({place, std::move(diagnostic)});
}

// A long line is cut to the part around the column; what a terminal could act on becomes '?'.
void Report::point_at(Place place, Diagnostic* diagnostic) const {
  const File& file = files_[place.file];
  diagnostic->file = file.name;
  diagnostic->line = place.line;
  diagnostic->column = place.column;
  for (Place from = file.included_from; from.line != 0; from = files_[from.file].included_from) {
    diagnostic->included_from.push_back(where(from));
  }
  const std::string_view whole = line(place.file, place.line);
  const size_t column = std::min<size_t>(place.column == 0 ? 0 : place.column - 1, whole.size());
  size_t start = column > kBytesBeforeCaret ? column - kBytesBeforeCaret : 0;
  while (start > 0 && start < column && continues_character(whole[start])) ++start;
  for (char c : whole.substr(start, kMaxSourceBytes)) {
    const bool is_control = (c >= 0 && c < ' ' && c != '\t') || c == 0x7f;
    diagnostic->source += is_control ? '?' : c;
  }
  const std::string_view before = whole.substr(start, column - start);
  diagnostic->caret = static_cast<uint32_t>(
      std::ranges::count_if(before, [](char c) { return !continues_character(c); }));
}

}  // namespace sluice::config
