// Where each value of a Config came from, by its path in the file
// ("pools.api.endpoints[1].weight").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config/config.h"

namespace sluice::config {

struct Origin {
  Place place;
  std::vector<std::string> env;  // variables whose value took part
};

// Paths that are not in it have their default value.
class Origins {
 public:
  void set(std::string path, Origin origin) { by_path_[std::move(path)] = std::move(origin); }
  const Origin* find(std::string_view path) const noexcept {
    auto it = by_path_.find(path);
    return it == by_path_.end() ? nullptr : &it->second;
  }
  // Of the value there, else of the nearest thing around it.
  Place place(std::string_view path) const noexcept;

 private:
  std::map<std::string, Origin, std::less<>> by_path_;
};

}  // namespace sluice::config
