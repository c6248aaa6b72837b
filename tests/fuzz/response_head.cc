// Response heads: the first byte chooses the request's method; the rest scans alike however it is
// split, and what is forwarded parses strictly again, as the same message.
#include "heads.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::fuzz;

namespace {

std::string written(const ResponseHead& head, Method method, ChunkPool& pool) {
  Chain chain;
  {
    ChainWriter out(pool, chain);
    if (head.is_interim()) {
      write_interim_head(head, out);
    } else {
      ResponseForwarding how;
      how.framing = head.framing;
      how.keep_alive = head.keep_alive;
      how.keep_length = method == Method::head || head.status == 304;
      how.request_id = "id-1";
      write_response_head(head, how, "Sun, 06 Nov 1994 08:49:37 GMT", out);
    }
  }
  return chain.to_string();
}

void check_forwarded(const ResponseHead& head, Method method, ChunkPool& pool, Arena& arena) {
  const std::string text = written(head, method, pool);
  const auto end = HeadScanner().scan(text, kWide);
  expect(end && *end == text.size(), "what is forwarded is one head");
  const auto sent = parse_response_head(text, kWide, method, arena);
  expect(sent.has_value(), "what is forwarded parses strictly");
  expect(sent->status == head.status && sent->reason == head.reason, "the status line stays");
  expect(is_same_framing(sent->framing, head.framing), "the framing stays");
  expect(sent->keep_alive == head.keep_alive || head.is_interim(), "persistence is as told");
  expect_no_hops(sent->fields);
  expect_fields_passed(head.fields, sent->fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto method = static_cast<Method>(data[0] % 10);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto end = scan_all_ways(bytes, data[size - 1] % size);
  ChunkPool pool;
  Arena arena(pool);
  const std::string_view text = bytes.substr(0, end && *end > 0 ? *end : bytes.size());
  const auto head = parse_response_head(text, kLimits, method, arena);
  if (!head) return 0;
  // Only the scanner bounds the first line as such.
  expect(end ? *end == text.size() : end.error().code() == Errc::kTargetTooLong,
         "what parses is what was scanned");
  expect(check_response_lines(text, kLimits).has_value(), "what parses has good lines");
  check_forwarded(*head, method, pool, arena);
  return 0;
}
