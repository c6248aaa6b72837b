#include "sluice/cache/purge.h"

#include <fmt/format.h>

#include <charconv>

#include "sluice/cache/key.h"
#include "sluice/cache/store_memory.h"

namespace sluice::cache {
namespace {

std::string_view take_word(std::string_view& text) noexcept {
  const size_t end = text.find(' ');
  const std::string_view word = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return word;
}

std::optional<uint64_t> tag_of(std::string_view digits) noexcept {
  uint64_t tag = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, tag, 16);
  const bool is_good = error == std::errc() && at == end && digits.size() == 16 && tag != 0;
  return is_good ? std::optional(tag) : std::nullopt;
}

}  // namespace

size_t purge_memory(MemoryStore& store, const HashSecret& secret, const PurgeOrder& order,
                    Arena& arena) {
  switch (order.what) {
    case PurgeOrder::What::url:
      return store.purge_url(key_of_url(order.url, secret, arena), order.kind);
    case PurgeOrder::What::prefix:
      return store.purge_prefix(order.url, order.kind);
    case PurgeOrder::What::tag:
      store.purge_tag(order.tag, order.kind);
      return 0;
    case PurgeOrder::What::all:
      return store.purge_all(order.kind);
  }
  return 0;
}

void note_purge(Purges& purges, const PurgeOrder& order) {
  switch (order.what) {
    case PurgeOrder::What::url:
      return purges.purge_url(order.url, order.kind);
    case PurgeOrder::What::prefix:
      return purges.purge_prefix(order.url, order.kind);
    case PurgeOrder::What::tag:
      return purges.purge_tag(order.tag, order.kind);
    case PurgeOrder::What::all:
      return purges.purge_all(order.kind);
  }
}

std::string to_text(const PurgeOrder& order) {
  const std::string_view kind = order.kind == PurgeKind::hard ? "hard" : "soft";
  switch (order.what) {
    case PurgeOrder::What::url:
      return fmt::format("{} url {}", kind, order.url);
    case PurgeOrder::What::prefix:
      return fmt::format("{} prefix {}", kind, order.url);
    case PurgeOrder::What::tag:
      return fmt::format("{} tag {:016x}", kind, order.tag);
    case PurgeOrder::What::all:
      break;
  }
  return fmt::format("{} all", kind);
}

std::optional<PurgeOrder> parse_purge(std::string_view text) {
  PurgeOrder order;
  const std::string_view kind = take_word(text);
  if (kind != "hard" && kind != "soft") return std::nullopt;
  order.kind = kind == "hard" ? PurgeKind::hard : PurgeKind::soft;
  if (text == "all") return order;
  const std::string_view what = take_word(text);
  if (what == "tag") {
    const std::optional<uint64_t> tag = tag_of(text);
    if (!tag) return std::nullopt;
    order.what = PurgeOrder::What::tag;
    order.tag = *tag;
    return order;
  }
  if ((what != "url" && what != "prefix") || text.empty()) return std::nullopt;
  order.what = what == "url" ? PurgeOrder::What::url : PurgeOrder::What::prefix;
  order.url = text;
  return order;
}

}  // namespace sluice::cache
