// What is asked of PostgreSQL, and what it says: statements with values, rows, failures.
//
// Plain values; rows own the memory of their PGresult. Thread: any, one at a time.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/error.h"

namespace sluice::orders {

// Prepared by each connection at its first use. In static storage.
struct PgStatement {
  const char* name;  // "": not prepared, for what runs once
  const char* sql;
};

// The values of a statement's parameters, as text. Bytes that no text of PostgreSQL can have, NUL
// and what is no UTF-8, become U+FFFD: as values they would end the text, or fail.
class PgValues {
 public:
  template <typename... Values>
  explicit PgValues(const Values&... values) {
    (add(values), ...);
  }
  void add(std::string_view text);
  void add(int64_t number) { texts_.push_back(std::to_string(number)); }
  void add(const std::vector<std::string>& texts);  // text[]
  void add(const std::vector<int64_t>& numbers);    // bigint[]
  const std::vector<std::string>& texts() const noexcept { return texts_; }

 private:
  std::vector<std::string> texts_;
};

struct PgStep {
  const PgStatement* statement;
  PgValues values;
};
using PgSteps = std::vector<PgStep>;

class PgRows {
 public:
  explicit PgRows(PGresult* result = nullptr) noexcept : result_(result) {}
  int size() const noexcept { return result_ == nullptr ? 0 : PQntuples(result_.get()); }
  bool is_null(int row, int column) const noexcept {
    return PQgetisnull(result_.get(), row, column) != 0;
  }
  std::string_view view(int row, int column) const noexcept;
  std::string text(int row, int column) const { return std::string(view(row, column)); }
  int64_t number(int row, int column) const noexcept;

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

enum class PgFault : uint8_t {
  kNone,
  kRefused,  // the server said no: all steps are undone
  kLost,     // the connection broke under way: what happened is unknown
  kLate,     // no answer by the deadline: what happened is unknown
  kNoTurn,   // waited for a connection until the deadline; nothing was done
  kDown,     // there is no connection; nothing was done
  kFull,     // too many wait already; nothing was done
};

struct PgFailure {
  PgFault fault = PgFault::kNone;
  std::string state;    // SQLSTATE, of kRefused (PostgreSQL 15, appendix A)
  std::string message;  // for the log: no password, no values
  std::string detail;   // the DETAIL of kRefused, which may hold values: not for the log

  explicit operator bool() const noexcept { return fault != PgFault::kNone; }
  // serialization_failure, deadlock_detected: the same steps may succeed now.
  bool is_conflict() const noexcept { return state == "40001" || state == "40P01"; }
  // feature_not_supported (a plan that fits no more), invalid_sql_statement_name (one that the
  // server forgot), read_only_sql_transaction: the connection is given up, another may do.
  bool is_stale() const noexcept {
    return state == "0A000" || state == "26000" || state == "25006";
  }
  // Nothing was done, and the same steps may succeed.
  bool is_worth_repeating() const noexcept { return is_conflict() || is_stale(); }
  // Nothing was done, and somebody else is why: the client may come again.
  bool is_busy() const noexcept;
  Error error() const noexcept;
};

// Rows of each step in order; with a failure there are none.
struct PgReply {
  std::vector<PgRows> rows;
  PgFailure failure;
};

}  // namespace sluice::orders
