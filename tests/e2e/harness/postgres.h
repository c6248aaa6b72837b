// A real PostgreSQL in a private folder, with a password, which a test may stop, freeze, kill and
// start again. What is committed stays: fsync is on.
//
//   Postgres postgres({"max_connections=10"});
//   const std::string database = postgres.make_database();
//   ... --db postgres.url(database) ...
//
// PostgreSQL refuses root, so that root runs it as nobody. Call from the test's own thread. Needs
// base and process of the harness only; the unit tests of orders use it too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness/process.h"

namespace e2e {

class Postgres {
 public:
  static constexpr const char* kUser = "shop";
  static constexpr const char* kPassword = "p@ss/word:4711";
  static constexpr const char* kPasswordInUrl = "p%40ss%2Fword%3A4711";

  explicit Postgres(std::vector<std::string> settings = {});
  ~Postgres();
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  // A new empty database; its name.
  std::string make_database();
  // Over the unix socket, or over TCP. `more` goes to the query: "&isolation=serializable".
  std::string url(const std::string& database, const std::string& more = "") const;
  std::string tcp_url(const std::string& database, const std::string& more = "") const;

  void kill();   // SIGKILL to all its processes
  void stop();   // "fast": transactions under way are rolled back
  void start();  // again, at the same addresses
  void freeze();
  void thaw();

  // What psql prints: rows in lines, columns with | between them. Fails where the statement does.
  std::string sql(const std::string& database, const std::string& statement);
  int64_t number(const std::string& database, const std::string& statement) {
    return std::stoll(sql(database, statement));
  }
  std::string log() const { return read_file(dir_.path("log")); }
  uint16_t port() const { return port_; }

 private:
  std::vector<std::string> as_user(std::vector<std::string> words) const;
  void make_cluster();
  void launch();
  bool is_open() const;
  std::vector<pid_t> processes() const;
  void signal_all(int number) const;
  void remove_shared_memory() const;

  TempDir dir_;
  std::vector<std::string> settings_;
  std::string programs_;  // the folder of initdb and postgres
  uint16_t port_ = 0;
  int databases_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace e2e
