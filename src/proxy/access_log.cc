#include "sluice/proxy/access_log.h"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "sluice/proxy/json_text.h"

namespace sluice::proxy {

namespace {

// Keys, punctuation and numbers of a line at their longest.
constexpr size_t kMostFixed = 768;
// Up to here a line's room is taken at the longest that it could come to; the room of longer ones
// is measured, since the ring refuses what is longer than half of it.
constexpr size_t kMostGuessed = 8 * 1024;

template <size_t N>
char* put(char* out, const char (&text)[N]) noexcept {
  std::memcpy(out, text, N - 1);
  return out + (N - 1);
}

char* put(char* out, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_number(char* out, uint64_t value) noexcept {
  return std::to_chars(out, out + 20, value).ptr;
}

char* put_digits(char* out, uint32_t value, int digits) noexcept {
  for (int i = digits; i-- > 0; value /= 10) out[i] = static_cast<char>('0' + value % 10);
  return out + digits;
}

// Milliseconds with three decimals.
char* put_ms(char* out, Duration duration) noexcept {
  const int64_t ns = std::max<int64_t>(duration.count(), 0);
  const uint64_t us = (static_cast<uint64_t>(ns) + 500) / 1000;
  out = put_number(out, us / 1000);
  *out++ = '.';
  return put_digits(out, static_cast<uint32_t>(us % 1000), 3);
}

int status_to_log(int status) noexcept { return std::clamp(status, 0, 999); }

std::string_view cut(std::string_view text) noexcept {
  return text.substr(0, AccessLog::kMaxField);
}

// "2026-01-31T12:00:00"
char* put_iso_time(char* out, const tm& utc) noexcept {
  out = put_digits(out, static_cast<uint32_t>(utc.tm_year + 1900), 4);
  *out++ = '-';
  out = put_digits(out, static_cast<uint32_t>(utc.tm_mon + 1), 2);
  *out++ = '-';
  out = put_digits(out, static_cast<uint32_t>(utc.tm_mday), 2);
  *out++ = 'T';
  return out;
}

// "31/Jan/2026:"
char* put_apache_date(char* out, const tm& utc) noexcept {
  static constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  out = put_digits(out, static_cast<uint32_t>(utc.tm_mday), 2);
  *out++ = '/';
  out = put(out, std::string_view(kMonths + 3 * utc.tm_mon, 3));
  *out++ = '/';
  out = put_digits(out, static_cast<uint32_t>(utc.tm_year + 1900), 4);
  *out++ = ':';
  return out;
}

char* put_clock(char* out, const tm& utc) noexcept {
  out = put_digits(out, static_cast<uint32_t>(utc.tm_hour), 2);
  *out++ = ':';
  out = put_digits(out, static_cast<uint32_t>(utc.tm_min), 2);
  *out++ = ':';
  return put_digits(out, static_cast<uint32_t>(utc.tm_sec), 2);
}

// Combined ----------------------------------------------------------------------------------------

char* put_escaped(char* out, std::string_view text) noexcept {
  static constexpr char kHex[] = "0123456789abcdef";
  for (char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\') {
      *out++ = c;
      continue;
    }
    *out++ = '\\';
    *out++ = 'x';
    *out++ = kHex[byte >> 4];
    *out++ = kHex[byte & 15];
  }
  return out;
}

char* put_or_dash(char* out, std::string_view text) noexcept {
  return put_escaped(out, text.empty() ? std::string_view("-") : cut(text));
}

// client - - [31/Jan/2026:12:00:00 +0000] "GET /x HTTP/1.1" 200 123 "referer" "user agent"
char* put_combined(char* out, const AccessRecord& record, std::string_view time) noexcept {
  out = put_or_dash(out, record.client);
  out = put(out, " - - [");
  out = put(out, time);
  out = put(out, " +0000] \"");
  out = put_or_dash(out, record.method);
  if (!record.path.empty()) {
    *out++ = ' ';
    out = put_escaped(out, cut(record.path));
  }
  if (!record.protocol.empty()) {
    *out++ = ' ';
    out = put_escaped(out, cut(record.protocol));
  }
  out = put(out, "\" ");
  out = put_digits(out, static_cast<uint32_t>(status_to_log(record.status)), 3);
  *out++ = ' ';
  out = put_number(out, record.bytes_out);
  out = put(out, " \"");
  out = put_or_dash(out, record.referer);
  out = put(out, "\" \"");
  out = put_or_dash(out, record.user_agent);
  return put(out, "\"\n");
}

// JSON --------------------------------------------------------------------------------------------

char* put_text(char* out, std::string_view text) noexcept {
  return write_json_text(out, cut(text));
}

char* put_who(char* out, const AccessRecord& record) noexcept {
  out = put(out, "\",\"id\":\"");
  out = put_text(out, record.id);
  out = put(out, "\",\"client\":\"");
  out = put_text(out, record.client);
  out = put(out, "\",\"method\":\"");
  out = put_text(out, record.method);
  out = put(out, "\",\"host\":\"");
  out = put_text(out, record.host);
  out = put(out, "\",\"path\":\"");
  return put_text(out, record.path);
}

char* put_numbers(char* out, const AccessRecord& record) noexcept {
  out = put(out, "\",\"status\":");
  out = put_number(out, static_cast<uint64_t>(status_to_log(record.status)));
  out = put(out, ",\"reason\":\"");
  out = put_text(out, record.reason);
  out = put(out, "\",\"bytes_in\":");
  out = put_number(out, record.bytes_in);
  out = put(out, ",\"bytes_out\":");
  out = put_number(out, record.bytes_out);
  out = put(out, ",\"total_ms\":");
  out = put_ms(out, record.total);
  out = put(out, ",\"connect_ms\":");
  out = put_ms(out, record.connect);
  out = put(out, ",\"first_byte_ms\":");
  out = put_ms(out, record.first_byte);
  out = put(out, ",\"queue_ms\":");
  return put_ms(out, record.queue);
}

char* put_whereto(char* out, const AccessRecord& record) noexcept {
  out = put(out, ",\"route\":\"");
  out = put_text(out, record.route);
  out = put(out, "\",\"pool\":\"");
  out = put_text(out, record.pool);
  out = put(out, "\",\"endpoint\":\"");
  out = put_text(out, record.endpoint);
  out = put(out, "\",\"attempts\":");
  out = put_number(out, record.attempts);
  out = put(out, ",\"cache\":\"");
  out = put_text(out, record.cache);
  return put(out, "\"}\n");
}

char* put_json(char* out, const AccessRecord& record, std::string_view time, uint32_t ms) noexcept {
  out = put(out, "{\"ts\":\"");
  out = put(out, time);
  *out++ = '.';
  out = put_digits(out, ms, 3);
  *out++ = 'Z';
  out = put_who(out, record);
  out = put_numbers(out, record);
  return put_whereto(out, record);
}

// Room --------------------------------------------------------------------------------------------

template <typename F>
size_t sum_of_fields(const AccessRecord& r, bool json, F&& size_of) noexcept {
  if (json) {
    return size_of(r.id) + size_of(r.client) + size_of(r.method) + size_of(r.host) +
           size_of(r.path) + size_of(r.reason) + size_of(r.route) + size_of(r.pool) +
           size_of(r.endpoint) + size_of(r.cache);
  }
  return size_of(r.client) + size_of(r.method) + size_of(r.path) + size_of(r.protocol) +
         size_of(r.referer) + size_of(r.user_agent);
}

size_t combined_size(std::string_view text) noexcept {
  size_t size = 0;
  for (char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    size += byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\' ? 1 : 4;
  }
  return size;
}

size_t room_for(const AccessRecord& record, bool json) noexcept {
  const size_t longest = sum_of_fields(
      record, json, [](std::string_view text) { return text.size() * kMostJsonPerByte; });
  if (longest <= kMostGuessed) return kMostFixed + longest;
  const auto size_of = [json](std::string_view text) {
    return json ? json_text_size(cut(text)) : combined_size(cut(text));
  };
  return kMostFixed + sum_of_fields(record, json, size_of);
}

}  // namespace

void AccessLog::write(const AccessRecord& record) noexcept {
  if (format_ == config::AccessLog::Format::kOff) return;
  const bool json = format_ == config::AccessLog::Format::kJson;
  char* const line = ring_.reserve(room_for(record, json));
  if (line != nullptr) {
    const auto since = std::chrono::floor<std::chrono::milliseconds>(record.ts.time_since_epoch());
    const auto second = std::chrono::floor<std::chrono::seconds>(since);
    if (second.count() != cached_second_) cache_time(second.count());
    const std::string_view time(cached_time_, cached_size_);
    const auto ms = static_cast<uint32_t>((since - second).count());
    const char* const end =
        json ? put_json(line, record, time, ms) : put_combined(line, record, time);
    ring_.commit(static_cast<size_t>(end - line));
  }
  if (ring_.is_half_full()) writer_.wake();
}

void AccessLog::cache_time(int64_t second) noexcept {
  const time_t seconds = static_cast<time_t>(second);
  tm utc{};
  gmtime_r(&seconds, &utc);
  char* out = cached_time_;
  out = format_ == config::AccessLog::Format::kJson ? put_iso_time(out, utc)
                                                    : put_apache_date(out, utc);
  out = put_clock(out, utc);
  cached_size_ = static_cast<size_t>(out - cached_time_);
  cached_second_ = second;
}

}  // namespace sluice::proxy
