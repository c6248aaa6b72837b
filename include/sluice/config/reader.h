// The steps of loading after the YAML has become nodes. Internal to config.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config/config.h"
#include "sluice/config/node.h"
#include "sluice/config/origin.h"
#include "sluice/config/report.h"
#include "sluice/config/schema.h"

namespace sluice::config {

using EnvLookup = std::function<std::optional<std::string>(std::string_view name)>;

// Replaces ${NAME} and ${NAME:-default} in `text`; "$${" stands for "${". Adds to `used` the names
// whose value took part.
Fault expand_env(std::string_view text, const EnvLookup& env, std::string* expanded,
                 std::vector<std::string>* used);

struct ReadTarget {
  Report& report;
  Origins& origins;
  const EnvLookup& env;
  bool accept_unsupported = false;
};

// Fills `config` from the map `root` by the rows of root_section(), and reports what does not fit.
// After errors `config` holds what could be read; validate() runs on it all the same.
void read_config(const NodePtr& root, const ReadTarget& target, Config* config);

// What spans sections: names, references, routes that cannot be reached. Fills in what is derived:
// names and routes left out, pool_index.
void validate(const Origins& origins, Report& report, Config* config);

}  // namespace sluice::config
