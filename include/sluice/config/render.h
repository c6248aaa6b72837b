// Text made from the schema rows: the reference file, its JSON Schema, an effective configuration.
#pragma once

#include <string>

#include "sluice/config/config.h"
#include "sluice/config/origin.h"

namespace sluice::config {

// A complete commented file with every key and default: `sluice reference`,
// conf/sluice.reference.yaml.
std::string reference_yaml();

// JSON Schema (draft 2020-12), indented: `sluice schema`.
std::string json_schema();

// `sluice check --print`: every value with "# default", "# file:line" or "# env NAME"; secrets
// masked. What it prints is a valid configuration again, apart from masked secrets.
std::string print_effective(const Config& config, const Origins& origins);

}  // namespace sluice::config
