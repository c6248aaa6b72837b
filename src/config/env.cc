// ${NAME} in values.
#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/config/reader.h"
#include "sluice/config/values.h"

namespace sluice::config {

namespace {

bool is_variable(std::string_view name) {
  return !name.empty() && !is_digit(name[0]) && std::ranges::all_of(name, [](char c) {
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  });
}

// `inner` is what stands between ${ and }.
Fault expand_one(std::string_view inner, const EnvLookup& env, std::string* expanded,
                 std::vector<std::string>* used) {
  const size_t fallback = inner.find(":-");
  const std::string_view name = inner.substr(0, fallback);
  if (!is_variable(name)) {
    return {"bad_value", quoted("${" + std::string(inner) + "}") + " names no variable",
            "write ${NAME} or ${NAME:-default}; $${ stands for ${ itself"};
  }
  const std::optional<std::string> value = env(name);
  if (value && !(value->empty() && fallback != std::string_view::npos)) {
    *expanded += *value;
    if (std::ranges::find(*used, name) == used->end()) used->emplace_back(name);
    return {};
  }
  if (fallback != std::string_view::npos) {
    *expanded += inner.substr(fallback + 2);
    return {};
  }
  return {"unset_variable", "the environment variable " + std::string(name) + " is not set",
          "set it, or give a default: ${" + std::string(name) + ":-default}"};
}

}  // namespace

Fault expand_env(std::string_view text, const EnvLookup& env, std::string* expanded,
                 std::vector<std::string>* used) {
  expanded->clear();
  for (;;) {
    const size_t open = text.find("${");
    const bool escaped = open != std::string_view::npos && open > 0 && text[open - 1] == '$';
    expanded->append(text.substr(0, escaped ? open - 1 : open));
    if (open == std::string_view::npos) return {};
    text.remove_prefix(open + 2);
    if (escaped) {
      expanded->append("${");
      continue;
    }
    const size_t close = text.find('}');
    if (close == std::string_view::npos) {
      return {"bad_value", "${ without }", "write ${NAME}; $${ stands for ${ itself"};
    }
    if (Fault fault = expand_one(text.substr(0, close), env, expanded, used)) return fault;
    text.remove_prefix(close + 1);
  }
}

}  // namespace sluice::config
