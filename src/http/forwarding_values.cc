// The values of our own that forwarding writes: ids, trace context and dates.
#include "sluice/base/strings.h"
#include "sluice/http/chars.h"
#include "sluice/http/forwarding.h"

namespace sluice::http {

size_t count_own_hops(const FieldList& fields) noexcept {
  size_t hops = 0;
  if (!fields.has(FieldId::kVia)) return hops;
  for (const Field& field : fields) {
    if (field.id != FieldId::kVia) continue;
    for_each_element(field.value, [&hops](std::string_view hop) {
      const size_t space = hop.find(' ');
      if (space != std::string_view::npos && trim(hop.substr(space)) == "sluice") ++hops;
      return true;
    });
  }
  return hops;
}

bool is_valid_request_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= 128 && is_all(id, kCharRequestId);
}

namespace {

bool is_lower_hex(std::string_view text) noexcept {
  for (char c : text) {
    if (!is_digit(c) && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

bool is_id(std::string_view text) noexcept {
  return is_lower_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool is_valid_traceparent(std::string_view value) noexcept {
  constexpr size_t kSize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
  return value.size() == kSize && value.starts_with("00-") && is_id(value.substr(3, 32)) &&
         value[35] == '-' && is_id(value.substr(36, 16)) && value[52] == '-' &&
         is_lower_hex(value.substr(53, 2));
}

namespace {

void put_two(char* out, int value) noexcept {
  out[0] = static_cast<char>('0' + value / 10);
  out[1] = static_cast<char>('0' + value % 10);
}

struct Civil {
  int64_t year;
  int month, day;
};

// Howard Hinnant's days-to-civil for the proleptic Gregorian calendar.
Civil civil_of(int64_t days) noexcept {
  days += 719468;  // since 0000-03-01
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t day_of_era = days - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t march_month = (5 * day_of_year + 2) / 153;
  const int day = static_cast<int>(day_of_year - (153 * march_month + 2) / 5 + 1);
  const int month = static_cast<int>(march_month < 10 ? march_month + 3 : march_month - 9);
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

}  // namespace

void write_http_date(char* out, int64_t unix_seconds) noexcept {
  constexpr int64_t kDay = 86400;
  constexpr int64_t kLast = 253402300799;  // the end of the year 9999
  const int64_t seconds = unix_seconds < 0 ? 0 : unix_seconds > kLast ? kLast : unix_seconds;
  const int64_t days = seconds / kDay;
  const int rest = static_cast<int>(seconds % kDay);
  const Civil date = civil_of(days);
  constexpr std::string_view day_names = "ThuFriSatSunMonTueWed";
  constexpr std::string_view month_names = "JanFebMarAprMayJunJulAugSepOctNovDec";
  day_names.copy(out, 3, static_cast<size_t>(days % 7) * 3);
  std::string_view(", ").copy(out + 3, 2);
  put_two(out + 5, date.day);
  out[7] = ' ';
  month_names.copy(out + 8, 3, static_cast<size_t>(date.month - 1) * 3);
  out[11] = ' ';
  put_two(out + 12, static_cast<int>(date.year / 100));
  put_two(out + 14, static_cast<int>(date.year % 100));
  out[16] = ' ';
  put_two(out + 17, rest / 3600);
  out[19] = ':';
  put_two(out + 20, rest / 60 % 60);
  out[22] = ':';
  put_two(out + 23, rest % 60);
  std::string_view(" GMT").copy(out + 25, 4);
}

}  // namespace sluice::http
