// Request heads: split anywhere they scan alike; what is forwarded parses strictly again, as the
// same message; and the path's normal form is stable.
#include "heads.h"
#include "sluice/http/uri.h"

using namespace sluice;
using namespace sluice::http;
using namespace sluice::http::fuzz;

namespace {

void check_path(std::string_view target, Arena& arena) {
  const std::string_view path = target.substr(0, target.find('?'));
  const auto normal = normalise_path(path, arena);
  if (!normal) return;
  const auto again = normalise_path(*normal, arena);
  expect(again && *again == *normal, "a normal path is normal");
  if (path.empty() || path.front() != '/') return;
  const std::string_view prefix = normal->substr(0, normal->size() / 2);
  const std::string_view stripped = strip_prefix(target, *normal, prefix, arena);
  expect(!stripped.empty() && stripped.front() == '/', "a path remains");
}

void check_forwarded(const RequestHead& head, bool trusted, ChunkPool& pool, Arena& arena) {
  RequestForwarding how;
  how.target = head.method == Method::connect ? head.target : head.path;
  how.host = head.authority.empty() ? std::string_view("pool.example") : head.authority;
  how.client_ip = "192.0.2.1";
  how.scheme = "http";
  how.trusted_client = trusted;
  how.request_id = "id-1";
  how.framing = head.framing;
  how.pass_expect = trusted;
  Chain chain;
  {
    ChainWriter out(pool, chain);
    write_request_head(head, how, out);
  }
  const std::string text = chain.to_string();
  const auto end = HeadScanner().scan(text, kWide);
  expect(end && *end == text.size(), "what is forwarded is one head");
  const auto sent = parse_request_head(text, kWide, arena);
  expect(sent.has_value(), "what is forwarded parses strictly");
  expect(sent->method_text == head.method_text, "the method stays");
  expect(sent->target == how.target, "the target is the one asked for");
  expect(sent->authority == how.host || head.method == Method::connect,
         "Host is the one asked for");
  expect(sent->minor_version == 1, "HTTP/1.1 is spoken");
  expect(is_same_framing(sent->framing, head.framing), "the framing stays");
  expect_no_hops(sent->fields);
  expect_fields_passed(head.fields, sent->fields);
}

// A plain head is taken without llhttp; with one field more it is not, and must be the same.
void check_with_llhttp(std::string_view text, const RequestHead& head, Arena& arena) {
  std::string full(text.substr(0, text.size() - 2));
  full += "Upgrade: x\r\n\r\n";
  const auto seen = parse_request_head(full, kWide, arena);
  expect(seen.has_value(), "llhttp takes what is taken without it");
  expect(seen->fields.size() == head.fields.size() + 1, "llhttp sees as many fields");
  for (size_t i = 0; i < head.fields.size(); ++i) {
    expect(seen->fields[i].name == head.fields[i].name &&
               seen->fields[i].value == head.fields[i].value,
           "llhttp sees the same fields");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const RequestHead glimpse = glimpse_request(bytes);
  expect(glimpse.method_text.size() + glimpse.target.size() <= size, "a glimpse is of what came");
  const size_t split = size == 0 ? 0 : data[size - 1] % size;
  const auto end = scan_all_ways(bytes, split);
  ChunkPool pool;
  Arena arena(pool);
  check_path(bytes, arena);
  // A head that is not whole is looked at too, as far as it goes.
  const std::string_view text = bytes.substr(0, end && *end > 0 ? *end : size);
  const auto head = parse_request_head(text, kLimits, arena);
  if (!head) return 0;
  // Only the scanner bounds the first line as such.
  expect(end ? *end == text.size() : end.error().code() == Errc::kTargetTooLong,
         "what parses is what was scanned");
  expect(check_request_lines(text, kLimits).has_value(), "what parses has good lines");
  check_path(head->path, arena);
  check_with_llhttp(text, *head, arena);
  check_forwarded(*head, false, pool, arena);
  check_forwarded(*head, true, pool, arena);
  return 0;
}
