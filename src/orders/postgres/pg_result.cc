#include "sluice/orders/postgres/pg_result.h"

#include <algorithm>
#include <charconv>

#include "sluice/orders/event.h"

namespace sluice::orders {
namespace {

bool is_plain(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<signed char>(c) > 0; });
}

void append_quoted(std::string& array, const std::string& text) {
  for (char c : text) {
    if (c == '"' || c == '\\') array += '\\';
    array += c;
  }
}

}  // namespace

void PgValues::add(std::string_view text) {
  texts_.push_back(is_plain(text) ? std::string(text) : clean_text(text));
}

// An array as text: {"one","with \" and \\"} (PostgreSQL 15, 8.15.6).
void PgValues::add(const std::vector<std::string>& texts) {
  std::string array = "{";
  for (const std::string& text : texts) {
    array += array.size() > 1 ? ",\"" : "\"";
    if (is_plain(text)) {
      append_quoted(array, text);
    } else {
      append_quoted(array, clean_text(text));
    }
    array += '"';
  }
  texts_.push_back(std::move(array) + "}");
}

void PgValues::add(const std::vector<int64_t>& numbers) {
  std::string array = "{";
  for (const int64_t number : numbers) {
    if (array.size() > 1) array += ',';
    array += std::to_string(number);
  }
  texts_.push_back(std::move(array) + "}");
}

std::string_view PgRows::view(int row, int column) const noexcept {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t PgRows::number(int row, int column) const noexcept {
  const std::string_view text = view(row, column);
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool PgFailure::is_busy() const noexcept {
  // query_canceled by statement_timeout, lock_not_available
  return fault == PgFault::kNoTurn || is_conflict() || state == "57014" || state == "55P03";
}

Error PgFailure::error() const noexcept {
  if (is_busy()) return Error(Errc::kQueueTimeout, "the database is busy");
  switch (fault) {
    case PgFault::kNone:
      return {};
    case PgFault::kFull:
      return Error(Errc::kQueueFull, "too many calls wait for the database");
    case PgFault::kDown:
      return Error(Errc::kSystem, "no connection to the database");
    case PgFault::kLost:
      return Error(Errc::kSystem, "the connection to the database was lost");
    case PgFault::kLate:
      return Error(Errc::kSystem, "the database does not answer");
    case PgFault::kRefused:
    case PgFault::kNoTurn:
      break;
  }
  return Error(Errc::kSystem, "the database failed");
}

}  // namespace sluice::orders
