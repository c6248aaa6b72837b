#include "sluice/orders/open_store.h"

#include <fmt/format.h>

#include "sluice/orders/store_sqlite.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

std::string OpenedStore::note() const {
  if (migrated_from > 0) return fmt::format(" (brought up from version {})", migrated_from);
  return is_new ? " (new)" : "";
}

std::string database_url_problem(const std::string& url) {
  if (url.starts_with("postgres://") || url.starts_with("postgresql://")) {
    return "PostgreSQL comes in a later version; use sqlite:FILE";
  }
  if (!url.starts_with(kSqlite)) return url + " is not sqlite:FILE";
  const std::string path = url.substr(kSqlite.size());
  // Several connections work on it, so it must be a file.
  if (path.empty() || path == ":memory:") return url + " names no file";
  return {};
}

OpenedStore open_store(loop::Loop& loop, const std::string& url, const std::vector<Product>& seed) {
  return open_sqlite_store(loop, url.substr(kSqlite.size()), seed);
}

}  // namespace sluice::orders
