#include "sluice/orders/sqlite/sqlite_schema.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "sluice/orders/request_json.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;

namespace {

std::string run_sql(const std::string& path, const char* sql) {
  auto db = Database::open(path, Database::Mode::create);
  REQUIRE(db);
  return db->run(sql) ? std::string() : db->last_error();
}

}  // namespace

TEST_CASE("orders/sqlite_schema: a new database is seeded, an old one is kept as it is") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  SchemaResult made = test::prepare(path, default_seed());
  CHECK(made.problem == "");
  CHECK(made.is_new);
  OrderReader reader = test::reader_on(path);
  auto products = reader.products();
  REQUIRE(products);
  CHECK(*products == default_seed());
  made = test::prepare(path, {{"x", "Other", 1, 1}});
  CHECK(made.problem == "");
  CHECK_FALSE(made.is_new);
  CHECK(reader.products()->size() == default_seed().size());
}

TEST_CASE("orders/sqlite_schema: processes that start together make one database") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(test::prepare(path, default_seed()).problem.empty() ? 0 : 1);
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(test::reader_on(path).products()->size() == default_seed().size());
}

TEST_CASE("orders/sqlite_schema: a file that is no order database is told from one, and kept") {
  test::TemporaryFolder folder;
  const std::string text = folder.file("text");
  std::ofstream(text) << std::string(4096, 'x');
  CHECK(test::prepare(text, default_seed()).problem == "file is not a database");

  const std::string other = folder.file("other.db");
  CHECK(run_sql(other, "CREATE TABLE orders (id)") == "");
  CHECK(test::prepare(other, default_seed()).problem == "it holds tables of another program");
  auto db = Database::open(other, Database::Mode::create);
  Statement mode("PRAGMA journal_mode");
  Query query(*db, mode);
  CHECK(query.next());
  CHECK(query.text(0) == "delete");

  const std::string newer = folder.file("newer.db");
  CHECK(test::prepare(newer, default_seed()).problem == "");
  CHECK(run_sql(newer, "UPDATE schema_version SET version = 9") == "");
  CHECK(test::prepare(newer, default_seed()).problem ==
        "its tables are of version 9, this program knows version 2");
}

TEST_CASE("orders/sqlite_schema: a seed that the database refuses leaves no half-made tables") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  const std::vector<Product> twice = {{"p", "P", 1, 1}, {"p", "P", 1, 1}};
  CHECK(test::prepare(path, twice).problem != "");
  CHECK(test::prepare(path, default_seed()).is_new);
}

TEST_CASE("orders/sqlite_schema: a database held by another is waited for, then given up") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("orders.db");
  REQUIRE(test::prepare(path, default_seed()).problem == "");
  auto holder = Database::open(path, Database::Mode::create);
  REQUIRE(holder->run("BEGIN IMMEDIATE"));
  auto db = Database::open(path, Database::Mode::create);
  Random random;
  int waits = 0;
  const Patience impatient{monotonic_now() + std::chrono::hours(1),
                           [&](Duration) { return ++waits < 3; }};
  CHECK(prepare_schema(*db, impatient, random, {}).problem == "database is locked");
  CHECK(waits == 3);
}
