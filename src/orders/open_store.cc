#include "sluice/orders/open_store.h"

#include <fmt/format.h>

#include "sluice/orders/postgres/pg_url.h"
#include "sluice/orders/postgres/store_postgres.h"
#include "sluice/orders/sqlite/store_sqlite.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

std::string OpenedStore::note() const {
  if (migrated_from > 0) return fmt::format(" (brought up from version {})", migrated_from);
  return is_new ? " (new)" : "";
}

std::string database_url_problem(const std::string& url) {
  if (is_pg_url(url)) return postgres_url_problem(url);
  // A URL of another scheme may hold a password.
  if (url.find("://") != std::string::npos) return "it is not sqlite:FILE or postgres://…";
  if (!url.starts_with(kSqlite)) return url + " is not sqlite:FILE or postgres://…";
  const std::string path = url.substr(kSqlite.size());
  // Several connections work on it, so it must be a file.
  if (path.empty() || path == ":memory:") return url + " names no file";
  return {};
}

OpenedStore open_store(loop::Loop& loop, const std::string& url, const std::vector<Product>& seed) {
  if (is_pg_url(url)) return open_postgres_store(loop, url, seed);
  return open_sqlite_store(loop, url.substr(kSqlite.size()), seed);
}

}  // namespace sluice::orders
