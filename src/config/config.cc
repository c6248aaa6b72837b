#include "sluice/config/config.h"

#include <algorithm>
#include <span>
#include <thread>

#include "sluice/config/words.h"

namespace sluice::config {

namespace {

template <typename E>
std::string_view find_word(std::span<const Choice> words, E value) noexcept {
  for (const Choice& choice : words) {
    if (choice.value == static_cast<uint64_t>(value)) return choice.word;
  }
  return "?";
}

}  // namespace

uint32_t Config::resolved_workers() const noexcept {
  return workers != 0 ? workers : std::max(1U, std::thread::hardware_concurrency());
}

const Pool* Config::find_pool(std::string_view name) const noexcept {
  auto found = std::ranges::find(pools, name, &Pool::name);
  return found == pools.end() ? nullptr : &*found;
}

std::string Config::where(Place place) const {
  if (place.line == 0 || place.file >= files.size()) return {};
  return files[place.file] + ":" + std::to_string(place.line);
}

std::string_view to_text(Balance::Kind kind) noexcept {
  return kind == Balance::Kind::kConsistentHash ? "consistent_hash"
                                                : find_word(kBalanceWords, kind);
}
std::string_view to_text(Health::Type type) noexcept { return find_word(kHealthWords, type); }
std::string_view to_text(WhenAllDown when) noexcept { return find_word(kWhenAllDownWords, when); }
std::string_view to_text(AccessLog::Format format) noexcept {
  return find_word(kLogFormatWords, format);
}

std::string_view to_text(Route::Action action) noexcept {
  switch (action) {
    case Route::Action::kPool:
      return "pool";
    case Route::Action::kRedirect:
      return "redirect";
    case Route::Action::kRespond:
      return "respond";
  }
  return "?";
}

}  // namespace sluice::config
