#include "sluice/http/http_date.h"

#include <algorithm>

#include "sluice/base/strings.h"

namespace sluice::http {
namespace {

constexpr int64_t kDay = 86400;
constexpr std::string_view kDayNames = "ThuFriSatSunMonTueWed";  // 1 January 1970 was a Thursday
constexpr std::string_view kMonthNames = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct Civil {
  int64_t year;
  int month, day;
};

struct Moment {
  Civil date{0, 0, 0};
  int hour = 0, minute = 0, second = 0;
};

// Reads a text from its front; after the first false all is lost.
class DateReader {
 public:
  explicit DateReader(std::string_view text) noexcept : rest_(text) {}

  bool literal(std::string_view wanted) noexcept {
    if (!equals_ignore_case(rest_.substr(0, wanted.size()), wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  bool number(size_t digits, int& value) noexcept {
    if (rest_.size() < digits) return false;
    value = 0;
    for (char c : rest_.substr(0, digits)) {
      if (!is_digit(c)) return false;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return true;
  }
  // One of `names`, three letters each; which one, from 0.
  bool name(std::string_view names, int& index) noexcept {
    for (size_t at = 0; at < names.size(); at += 3) {
      if (!literal(names.substr(at, 3))) continue;
      index = static_cast<int>(at / 3);
      return true;
    }
    return false;
  }
  bool day_name() noexcept {
    int ignored;
    return name(kDayNames, ignored);
  }
  bool long_day_name() noexcept {
    for (std::string_view day :
         {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}) {
      if (literal(day)) return true;
    }
    return false;
  }
  bool month(int& month) noexcept {
    if (!name(kMonthNames, month)) return false;
    ++month;
    return true;
  }
  bool time(Moment& at) noexcept {
    return number(2, at.hour) && literal(":") && number(2, at.minute) && literal(":") &&
           number(2, at.second);
  }
  bool is_at_end() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT"
bool read_fixdate(DateReader in, Moment& at) noexcept {
  int year;
  if (!(in.day_name() && in.literal(", ") && in.number(2, at.date.day) && in.literal(" ") &&
        in.month(at.date.month) && in.literal(" ") && in.number(4, year) && in.literal(" ") &&
        in.time(at) && in.literal(" GMT") && in.is_at_end())) {
    return false;
  }
  at.date.year = year;
  return true;
}

// "Sunday, 06-Nov-94 08:49:37 GMT"; the year is that within its century.
bool read_rfc850(DateReader in, Moment& at) noexcept {
  int year;
  if (!(in.long_day_name() && in.literal(", ") && in.number(2, at.date.day) && in.literal("-") &&
        in.month(at.date.month) && in.literal("-") && in.number(2, year) && in.literal(" ") &&
        in.time(at) && in.literal(" GMT") && in.is_at_end())) {
    return false;
  }
  at.date.year = year;
  return true;
}

// "Sun Nov  6 08:49:37 1994"
bool read_asctime(DateReader in, Moment& at) noexcept {
  int year;
  if (!(in.day_name() && in.literal(" ") && in.month(at.date.month) && in.literal(" ") &&
        (in.literal(" ") ? in.number(1, at.date.day) : in.number(2, at.date.day)) &&
        in.literal(" ") && in.time(at) && in.literal(" ") && in.number(4, year) &&
        in.is_at_end())) {
    return false;
  }
  at.date.year = year;
  return true;
}

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

// And the way back, for years from 0.
int64_t days_of(const Civil& date) noexcept {
  const int64_t year = date.year + 400 - (date.month <= 2 ? 1 : 0);
  const int64_t era = year / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t march_month = date.month > 2 ? date.month - 3 : date.month + 9;
  const int64_t day_of_year = (153 * march_month + 2) / 5 + date.day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era - 1) * 146097 + day_of_era - 719468;
}

bool is_leap(int64_t year) noexcept {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool is_possible(const Moment& at) noexcept {
  constexpr int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap_february = at.date.month == 2 && is_leap(at.date.year);
  const int last = lengths[at.date.month - 1] + (leap_february ? 1 : 0);
  return at.date.day >= 1 && at.date.day <= last && at.hour < 24 && at.minute < 60 &&
         at.second <= 60;
}

// A leap second is the second before it: never later than what was meant (RFC 9111 section 4.2).
int64_t seconds_of(const Moment& at) noexcept {
  return days_of(at.date) * kDay + at.hour * 3600 + at.minute * 60 + std::min(at.second, 59);
}

// The latest year with these two digits that is not more than 50 years in the future (RFC 9110
// section 5.6.7).
void set_century(Moment& at, int64_t now) noexcept {
  constexpr int64_t kFiftyYears = int64_t{18262} * kDay + kDay / 2;
  const int64_t latest = std::clamp(now, int64_t{0}, int64_t{1} << 40) + kFiftyYears;
  const int64_t latest_year = civil_of(latest / kDay).year;
  at.date.year = latest_year - (latest_year - at.date.year) % 100;
  if (seconds_of(at) > latest) at.date.year -= 100;
}

void put_two(char* out, int value) noexcept {
  out[0] = static_cast<char>('0' + value / 10);
  out[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::optional<int64_t> parse_http_date(std::string_view text, int64_t now) noexcept {
  Moment at;
  const DateReader in(text);
  if (!read_fixdate(in, at) && !read_asctime(in, at)) {
    if (!read_rfc850(in, at)) return std::nullopt;
    set_century(at, now);
  }
  if (!is_possible(at)) return std::nullopt;
  return seconds_of(at);
}

void write_http_date(char* out, int64_t unix_seconds) noexcept {
  constexpr int64_t kLast = 253402300799;  // the end of the year 9999
  const int64_t seconds = unix_seconds < 0 ? 0 : unix_seconds > kLast ? kLast : unix_seconds;
  const int64_t days = seconds / kDay;
  const int rest = static_cast<int>(seconds % kDay);
  const Civil date = civil_of(days);
  kDayNames.copy(out, 3, static_cast<size_t>(days % 7) * 3);
  std::string_view(", ").copy(out + 3, 2);
  put_two(out + 5, date.day);
  out[7] = ' ';
  kMonthNames.copy(out + 8, 3, static_cast<size_t>(date.month - 1) * 3);
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
