// One SQLite connection, its prepared statements, and waiting for other writers.
//
// Owner and thread: one thread each; a connection is never shared. A failure is an Error of
// kSystem whose sys is SQLite's extended result code; kQueueTimeout when others hold the database.
#pragma once

#include <sqlite3.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/base/random.h"
#include "sluice/orders/stored.h"

namespace sluice::orders {

Error sqlite_error(int rc) noexcept;
inline bool is_busy(Error error) noexcept { return error.code() == Errc::kQueueTimeout; }

// Tries again what failed because others hold the database, at random intervals that grow from 1 to
// 20 ms, until the deadline. `wait` sleeps for so long, or returns false when there is no point any
// more. SQLite's own busy handler is not used: several processes that sleep in its fixed steps keep
// meeting each other.
struct Patience {
  TimePoint deadline;
  std::function<bool(Duration)> wait;
};
bool wait_for(Duration duration);  // a wait that just sleeps
Status retry_busy(const Patience& patience, Random& random, const std::function<Status()>& call);

class Database {
 public:
  enum class Mode : uint8_t { create, read };
  static Result<Database> open(const std::string& path, Mode mode);

  Status run(const char* sql) noexcept;  // statements without parameters and rows
  // False also after a failure that made SQLite roll back by itself.
  bool is_in_transaction() const noexcept { return sqlite3_get_autocommit(db_.get()) == 0; }
  int64_t changes() const noexcept { return sqlite3_changes64(db_.get()); }
  // What the last failure was about, in SQLite's words and the system's.
  std::string last_error() const;
  sqlite3* raw() noexcept { return db_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
};

// Prepared at its first use. Dies before its Database.
class Statement {
 public:
  explicit Statement(const char* sql) noexcept : sql_(sql) {}
  Result<sqlite3_stmt*> get(Database& db) noexcept;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
  };
  const char* sql_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// One execution of a statement: values for its parameters in order, then its rows. Texts must live
// as long as the Query.
class Query {
 public:
  template <typename... Values>
  Query(Database& db, Statement& statement, const Values&... values) noexcept {
    begin(db, statement);
    (bind(values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Goes to the first or next row; false: there is none any more.
  Result<bool> next() noexcept;
  // For statements that give no rows.
  Status run() noexcept;

  int64_t number(int column) noexcept { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) noexcept;

 private:
  void begin(Database& db, Statement& statement) noexcept;
  void bind(std::string_view text) noexcept;
  void bind(int64_t number) noexcept;

  sqlite3_stmt* statement_ = nullptr;
  int next_parameter_ = 1;
  Error error_;
};

// A part of a transaction that can be undone alone. Dies before its Database.
class Savepoint {
 public:
  explicit Savepoint(Database& db) noexcept : db_(db) {}
  Status begin() noexcept;
  // Keeps or undoes what came since begin(). An Error has undone the whole transaction.
  Status end(bool keep) noexcept;

 private:
  Database& db_;
  Statement mark_{"SAVEPOINT part"};
  Statement release_{"RELEASE part"};
  Statement undo_{"ROLLBACK TO part"};
};

}  // namespace sluice::orders
