// Purges as edge hosts tell them each other through the shared tier: what is read writes itself
// the same again, and whatever is written is read back.
#include "heads.h"
#include "sluice/base/strings.h"
#include "sluice/cache/purge.h"

using namespace sluice;
using namespace sluice::cache;
using http::fuzz::expect;

namespace {

void expect_round_trip(const PurgeOrder& order) {
  const std::string text = to_text(order);
  const auto again = parse_purge(text);
  expect(again.has_value() && *again == order, "what is written is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto order = parse_purge(text)) {
    expect_round_trip(*order);
    const bool is_tag = order->what == PurgeOrder::What::tag;
    const std::string written = to_text(*order);
    expect(is_tag ? equals_ignore_case(written, text) : written == text,
           "what is read is written the same");
  }
  if (size == 0) return 0;
  uint64_t tag = 1;
  for (char c : text) tag = tag * 257 + static_cast<unsigned char>(c);
  for (const PurgeKind kind : {PurgeKind::hard, PurgeKind::soft}) {
    expect_round_trip({PurgeOrder::What::url, kind, std::string(text), 0});
    expect_round_trip({PurgeOrder::What::prefix, kind, std::string(text), 0});
    if (tag != 0) expect_round_trip({PurgeOrder::What::tag, kind, {}, tag});
    expect_round_trip({PurgeOrder::What::all, kind, {}, 0});
  }
  return 0;
}
