// A YAML file as a tree with places: between the text (load.cc) and the structs (reader.cc).
// Internal to config.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config/config.h"

namespace sluice::config {

struct YamlNode;
using NodePtr = std::shared_ptr<const YamlNode>;  // shared by the aliases of an anchor

struct Entry {
  std::string key;
  Place key_place;
  NodePtr value;
};

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Place place;
  std::string text;            // kScalar, before ${...} is filled in
  std::vector<NodePtr> items;  // kList
  std::vector<Entry> entries;  // kMap, in file order, duplicates included
  uint64_t weight = 1;         // number of nodes with every alias written out
};

}  // namespace sluice::config
