#include "sluice/proxy/access_log.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "sluice/proxy/json_text.h"

namespace sluice::proxy {

namespace {

using Format = config::AccessLog::Format;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// 2026-01-31T12:00:00.123Z
WallTime some_time() { return WallTime(milliseconds(1769860800123)); }

AccessRecord full_record() {
  AccessRecord record;
  record.ts = some_time();
  record.id = "0123456789abcdef0123456789abcdef";
  record.client = "192.0.2.7";
  record.method = "GET";
  record.host = "shop.example";
  record.path = "/products?x=1";
  record.status = 200;
  record.bytes_in = 12;
  record.bytes_out = 34567;
  record.total = microseconds(12345);
  record.connect = microseconds(250);
  record.first_byte = milliseconds(2);
  record.route = "route-1";
  record.pool = "orders";
  record.endpoint = "127.0.0.1:9001";
  record.attempts = 2;
  record.cache = "hit";
  record.protocol = "HTTP/1.1";
  record.referer = "http://a.example/";
  record.user_agent = "curl/7.88.1";
  return record;
}

std::string take(LogRing& ring) {
  const LogRing::Spans spans = ring.peek();
  std::string text(spans.first);
  text += spans.second;
  ring.release(spans);
  return text;
}

struct Log {
  LogRing ring{256 * 1024};
  LogWriter writer;
  AccessLog log;
  explicit Log(Format format) : log(ring, writer, format) {}

  std::string line(const AccessRecord& record) {
    log.write(record);
    return take(ring);
  }
};

std::string line(Format format, const AccessRecord& record) { return Log(format).line(record); }

std::string json_text(std::string_view text) {
  std::string room(text.size() * kMostJsonPerByte, '\0');
  room.resize(static_cast<size_t>(write_json_text(room.data(), text) - room.data()));
  CHECK(room.size() == json_text_size(text));
  return room;
}

}  // namespace

TEST_CASE("proxy/access_log: a JSON line has the contract's keys in its order") {
  CHECK(line(Format::kJson, full_record()) ==
        R"({"ts":"2026-01-31T12:00:00.123Z","id":"0123456789abcdef0123456789abcdef",)"
        R"("client":"192.0.2.7","method":"GET","host":"shop.example","path":"/products?x=1",)"
        R"("status":200,"reason":"","bytes_in":12,"bytes_out":34567,"total_ms":12.345,)"
        R"("connect_ms":0.250,"first_byte_ms":2.000,"queue_ms":0.000,"route":"route-1",)"
        R"("pool":"orders","endpoint":"127.0.0.1:9001","attempts":2,"cache":"hit"})"
        "\n");
}

TEST_CASE("proxy/access_log: an empty record is a valid line") {
  const auto parsed = nlohmann::json::parse(line(Format::kJson, AccessRecord{}));
  CHECK(parsed.size() == 19);
  CHECK(parsed["ts"] == "1970-01-01T00:00:00.000Z");
  CHECK(parsed["id"] == "");
  CHECK(parsed["status"] == 0);
  CHECK(parsed["attempts"] == 0);
}

TEST_CASE("proxy/access_log: a combined line is what log analysers read") {
  AccessRecord record = full_record();
  CHECK(line(Format::kCombined, record) ==
        "192.0.2.7 - - [31/Jan/2026:12:00:00 +0000] \"GET /products?x=1 HTTP/1.1\" 200 34567 "
        "\"http://a.example/\" \"curl/7.88.1\"\n");
  record.referer = record.user_agent = "";
  record.bytes_out = 0;
  CHECK(line(Format::kCombined, record) ==
        "192.0.2.7 - - [31/Jan/2026:12:00:00 +0000] \"GET /products?x=1 HTTP/1.1\" 200 0 "
        "\"-\" \"-\"\n");
  record.method = record.path = record.protocol = "";
  record.status = 400;
  CHECK(line(Format::kCombined, record) ==
        "192.0.2.7 - - [31/Jan/2026:12:00:00 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}

TEST_CASE("proxy/access_log: nothing in a combined line can end a string or the line") {
  AccessRecord record = full_record();
  record.user_agent = "a\"b\\c\nd\x7f\xe9";
  const std::string text = line(Format::kCombined, record);
  CHECK(text.find("\"a\\x22b\\x5cc\\x0ad\\x7f\\xe9\"\n") != std::string::npos);
}

TEST_CASE("proxy/access_log: off writes nothing") {
  CHECK(line(Format::kOff, full_record()) == "");
}

TEST_CASE("proxy/access_log: times in milliseconds, rounded to three decimals") {
  struct Row {
    Duration duration;
    std::string_view text;
  };
  for (const Row& row :
       {Row{Duration(0), "0.000"}, Row{Duration(499), "0.000"}, Row{Duration(500), "0.001"},
        Row{Duration(999'999), "1.000"}, Row{milliseconds(61'001), "61001.000"},
        Row{Duration(-5), "0.000"}, Row{Duration::max(), "9223372036854.776"}}) {
    AccessRecord record;
    record.queue = row.duration;
    const std::string text = line(Format::kJson, record);
    CHECK(text.find("\"queue_ms\":" + std::string(row.text) + ",") != std::string::npos);
  }
}

TEST_CASE("proxy/access_log: the time follows the clock, also backwards") {
  Log log(Format::kJson);
  struct Row {
    int64_t ms;
    std::string_view text;
  };
  for (const Row& row :
       {Row{1769860800999, "2026-01-31T12:00:00.999Z"},
        Row{1769860801000, "2026-01-31T12:00:01.000Z"},
        Row{1769860800001, "2026-01-31T12:00:00.001Z"},
        Row{1709251199000, "2024-02-29T23:59:59.000Z"}, Row{-1, "1969-12-31T23:59:59.999Z"}}) {
    AccessRecord record;
    record.ts = WallTime(milliseconds(row.ms));
    CHECK(nlohmann::json::parse(log.line(record))["ts"] == std::string(row.text));
  }
}

TEST_CASE("proxy/access_log: JSON text is escaped as RFC 8259 section 7 asks") {
  struct Row {
    std::string_view text, escaped;
  };
  using namespace std::string_view_literals;
  const Row rows[] = {
      {"", ""},
      {"plain text of some length", "plain text of some length"},
      {"say \"hi\"", "say \\\"hi\\\""},
      {"c:\\x", "c:\\\\x"},
      {"a\nb\tc\0d\x1f"sv, "a\\u000ab\\u0009c\\u0000d\\u001f"},
      {"\x7f", "\x7f"},
      {"12345678\"", "12345678\\\""},
      {"1234567\x80"
       "90",
       "1234567\\ufffd90"},
      {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
      {"\xe2\x82\xac", "\xe2\x82\xac"},
      {"\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!"},
      {"\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"},
      {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
      // What is no UTF-8 (RFC 3629): cut, stray, overlong, a surrogate, above U+10FFFF.
      {"\xc3", "\\ufffd"},
      {"\xe2\x82", "\\ufffd\\ufffd"},
      {"\xc3(", "\\ufffd("},
      {"\xbf", "\\ufffd"},
      {"\xc0\xaf", "\\ufffd\\ufffd"},
      {"\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd"},
      {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
      {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
      {"\xff", "\\ufffd"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.escaped);
    CHECK(json_text(row.text) == row.escaped);
  }
}

TEST_CASE("proxy/access_log: any two bytes make a valid line") {
  Log log(Format::kJson);
  std::string text = "1234567..";
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; second += 3) {
      text[7] = static_cast<char>(first);
      text[8] = static_cast<char>(second);
      AccessRecord record;
      record.path = text;
      const std::string made = log.line(record);
      if (made.find('\n') != made.size() - 1 || !nlohmann::json::accept(made)) FAIL(made);
    }
  }
}

TEST_CASE("proxy/access_log: long fields are cut, and the longest record fits") {
  const std::string long_text(3 * AccessLog::kMaxField, 'p');
  const std::string bad_text(3 * AccessLog::kMaxField, '\x01');
  for (const std::string& text : {long_text, bad_text}) {
    AccessRecord record;
    record.host = record.path = record.client = text;
    record.user_agent = record.referer = text;
    const auto parsed = nlohmann::json::parse(line(Format::kJson, record));
    CHECK(parsed["path"] == text.substr(0, AccessLog::kMaxField));
    CHECK(parsed["host"] == text.substr(0, AccessLog::kMaxField));
    CHECK(line(Format::kCombined, record).size() > 3 * AccessLog::kMaxField);
  }
}

TEST_CASE("proxy/access_log: a full ring drops whole lines and counts them") {
  LogRing ring(2048);
  LogWriter writer;
  AccessLog log(ring, writer, Format::kJson);
  for (int i = 0; i < 10; ++i) log.write(AccessRecord{});
  CHECK(ring.dropped() > 0);
  const std::string text = take(ring);
  CHECK(std::count(text.begin(), text.end(), '\n') == 10 - static_cast<int>(ring.dropped()));
  log.write(AccessRecord{});
  CHECK(nlohmann::json::accept(take(ring)));
}

}  // namespace sluice::proxy
