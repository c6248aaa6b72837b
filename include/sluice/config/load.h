// From a YAML file to a Config: reads it and what it includes, checks everything, and tells all
// problems at once (after a YAML syntax error only that one).
//
//   text -> nodes (load.cc) -> structs by the rows of schema.h (reader.cc) -> references
//   (validate.cc)
//
// A file without `routes` and with exactly one pool gets one route, named after the pool, which
// matches everything. Blocking: reads files. Any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config/config.h"
#include "sluice/config/diagnostic.h"
#include "sluice/config/origin.h"

namespace sluice::config {

struct LoadOptions {
  // Looks up a variable of ${NAME}; empty: the environment of this process.
  std::function<std::optional<std::string>(std::string_view name)> env;
  // Takes keys that this version does not act on yet as if it did: for tests of those keys.
  bool accept_unsupported = false;
};

struct LoadResult {
  std::optional<Config> config;         // nullopt if there is an error among the diagnostics
  std::vector<Diagnostic> diagnostics;  // by file (in the order read), line and column
  Origins origins;                      // for print_effective()

  bool ok() const noexcept { return config.has_value(); }
};

LoadResult load_file(const std::string& path, const LoadOptions& options = {});
// As if `text` stood in the file `name`; includes and relative paths start in the folder of `name`.
LoadResult load_text(std::string text, const std::string& name, const LoadOptions& options = {});

}  // namespace sluice::config
