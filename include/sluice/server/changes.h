// What differs between two configurations, in words for the log line of a reload. Pure.
#pragma once

#include <string>

#include "sluice/config/config.h"

namespace sluice::server {

// "listener web2 opened; pool orders changed; routes changed", or "nothing changed".
std::string describe_changes(const config::Config& before, const config::Config& now);

// What changed but needs a restart to take effect: "workers: 2 to 4"; "" when nothing.
std::string describe_restart(const config::Config& before, const config::Config& now);

}  // namespace sluice::server
