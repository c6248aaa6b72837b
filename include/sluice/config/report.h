// Collects diagnostics, with the files that they point into. Internal to config.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/config/config.h"
#include "sluice/config/diagnostic.h"
#include "sluice/config/schema.h"

namespace sluice::config {

class Report {
 public:
  struct File {
    std::string name;
    std::string text;
    std::vector<size_t> line_starts;
    Place included_from;  // line 0: nobody
  };

  // Returns its index, which Places use.
  uint32_t add_file(std::string name, std::string text, Place included_from);
  const File& file(uint32_t index) const { return files_[index]; }
  std::vector<std::string> file_names() const;
  // "" or the folder of the file with a '/' behind it.
  std::string_view folder(uint32_t index) const;
  // Without its line end; empty if there is no such line (1-based).
  std::string_view line(uint32_t index, uint32_t number) const;
  std::string where(Place place) const;  // "sluice.yaml:14"

  void error(Place place, std::string path, Fault fault) {
    add(Severity::kError, place, std::move(path), std::move(fault));
  }
  void warning(Place place, std::string path, Fault fault) {
    add(Severity::kWarning, place, std::move(path), std::move(fault));
  }
  // A secret stands there: no diagnostic shows that line.
  void hide_line(Place place) { hidden_.emplace_back(place.file, place.line); }

  size_t errors() const noexcept { return errors_; }
  bool has_errors() const noexcept { return errors_ > 0; }
  bool has_errors_below(std::string_view path) const noexcept;
  // A YAML syntax error makes the rest guesswork: everything else is forgotten.
  void only_error(Place place, Fault fault);
  // By file, line and column.
  std::vector<Diagnostic> take();

 private:
  struct Found {
    Place place;
    Diagnostic diagnostic;
  };
  void add(Severity severity, Place place, std::string path, Fault fault);
  void point_at(Place place, Diagnostic* diagnostic) const;

  std::vector<File> files_;
  std::vector<Found> found_;
  std::vector<std::pair<uint32_t, uint32_t>> hidden_;  // file and line
  size_t errors_ = 0;
};

}  // namespace sluice::config
