#include "sluice/orders/sqlite/sqlite_db.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace sluice::orders {

using std::chrono::milliseconds;

Error sqlite_error(int rc) noexcept {
  const int primary = rc & 0xFF;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    return Error(Errc::kQueueTimeout, "other writers hold the database", rc);
  }
  return Error(Errc::kSystem, sqlite3_errstr(rc), rc);
}

bool wait_for(Duration duration) {
  const timespec span{duration.count() / 1'000'000'000, duration.count() % 1'000'000'000};
  nanosleep(&span, nullptr);
  return true;
}

Status retry_busy(const Patience& patience, Random& random, const std::function<Status()>& call) {
  constexpr Duration kLongest = milliseconds(20);
  Duration longest = milliseconds(1);
  while (true) {
    Status status = call();
    if (status || !is_busy(status.error())) return status;
    const Duration left = patience.deadline - monotonic_now();
    if (left <= Duration(0)) return status;
    const Duration pause(
        1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(longest.count()))));
    if (!patience.wait(std::min(pause, left))) return status;
    longest = std::min(longest * 2, kLongest);
  }
}

Result<Database> Database::open(const std::string& path, Mode mode) {
  // Counting what it allocates would take a lock each time.
  [[maybe_unused]] static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  // Readers of a WAL database write its index, so they open it for writing too.
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::create) flags |= SQLITE_OPEN_CREATE;
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database db;
  db.db_.reset(raw);
  if (rc != SQLITE_OK) {
    const int sys = raw == nullptr ? 0 : sqlite3_system_errno(raw);
    return Error(Errc::kSystem, sys != 0 ? std::strerror(sys) : sqlite3_errstr(rc), rc);
  }
  // Settings that do not look into the file, which another process may hold at this moment.
  const int set = sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  if (set != SQLITE_OK) return sqlite_error(set);
  // What a savepoint may have to undo is kept in memory: as a file it is most of what is written.
  SL_TRY([[maybe_unused]] Ok kept, db.run("PRAGMA temp_store = MEMORY"));
  if (mode == Mode::read) {
    SL_TRY([[maybe_unused]] Ok ok, db.run("PRAGMA query_only = ON"));
  }
  return db;
}

Status Database::run(const char* sql) noexcept {
  const int rc = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return sqlite_error(rc);
  return Ok{};
}

std::string Database::last_error() const {
  const int sys = sqlite3_system_errno(db_.get());
  const char* text = sqlite3_errmsg(db_.get());
  return sys == 0 ? text : fmt::format("{} ({})", text, std::strerror(sys));
}

Result<sqlite3_stmt*> Statement::get(Database& db) noexcept {
  if (statement_ == nullptr) {
    sqlite3_stmt* raw = nullptr;
    const int rc = sqlite3_prepare_v3(db.raw(), sql_, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    statement_.reset(raw);
    if (rc != SQLITE_OK) return sqlite_error(rc);
  }
  return statement_.get();
}

// SQLite copies each page that changes behind a savepoint once more.
Status Savepoint::begin() noexcept {
  changes_before_ = db_.all_changes();
  return db_.is_careful() ? Query(db_, mark_).run() : Status(Ok{});
}

Status Savepoint::end_careless(bool keep) noexcept {
  if (keep || db_.all_changes() == changes_before_) return Ok{};
  if (db_.is_in_transaction()) static_cast<void>(db_.run("ROLLBACK").has_value());
  return Error(Errc::kSystem, "undone with all of its transaction");
}

Status Savepoint::end(bool keep) noexcept {
  if (!db_.is_careful()) return end_careless(keep);
  Status done = Ok{};
  // SQLite may have rolled back all by itself.
  if (!keep && db_.is_in_transaction()) done = Query(db_, undo_).run();
  if (done && db_.is_in_transaction()) done = Query(db_, release_).run();
  // Rather undo everything than commit what was not undone.
  if (!done && db_.is_in_transaction()) static_cast<void>(db_.run("ROLLBACK").has_value());
  return done;
}

void Query::begin(Database& db, Statement& statement) noexcept {
  auto prepared = statement.get(db);
  if (prepared) {
    statement_ = *prepared;
  } else {
    error_ = prepared.error();
  }
}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::bind(std::string_view text) noexcept {
  if (error_) return;
  const int rc = sqlite3_bind_text64(statement_, next_parameter_++, text.data(), text.size(),
                                     SQLITE_STATIC, SQLITE_UTF8);
  if (rc != SQLITE_OK) error_ = sqlite_error(rc);
}

void Query::bind(int64_t number) noexcept {
  if (error_) return;
  const int rc = sqlite3_bind_int64(statement_, next_parameter_++, number);
  if (rc != SQLITE_OK) error_ = sqlite_error(rc);
}

Result<bool> Query::next() noexcept {
  if (error_) return error_;
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return sqlite_error(rc);
}

Status Query::run() noexcept {
  auto row = next();
  if (!row) return row.error();
  return Ok{};
}

std::string Query::text(int column) noexcept {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

}  // namespace sluice::orders
