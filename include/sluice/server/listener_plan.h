// What a reload does with the listeners: which stay, which are opened, which are drained. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sluice/config/config.h"

namespace sluice::server {

struct ListenerKey {
  std::string name;
  config::BindAddress bind;
  bool operator==(const ListenerKey&) const = default;
};

struct ListenerStep {
  enum class Kind : uint8_t {
    kKeep,   // same name, same address: connections, counts and descriptors stay
    kReuse,  // another name on an address that is listened on already: its descriptors stay
    kOpen    // new descriptors
  };
  Kind kind = Kind::kOpen;
  size_t have = 0;  // of kKeep and kReuse
  bool operator==(const ListenerStep&) const = default;
};

struct ListenerPlan {
  std::vector<ListenerStep> steps;  // one for each wanted listener
  std::vector<size_t> drain;        // indexes of those that go
};

ListenerPlan plan_listeners(const std::vector<ListenerKey>& have,
                            const std::vector<ListenerKey>& wanted);

}  // namespace sluice::server
