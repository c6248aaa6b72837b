#include "sluice/orders/postgres/pg_schema.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "pg_migrations.h"
#include "sluice/loop/loop.h"
#include "sluice/orders/postgres/pg_connection.h"

namespace sluice::orders {
namespace {

// For each call; another process may be making the tables.
constexpr Duration kPatience = std::chrono::seconds(60);

const PgStatement kBegin{"", "BEGIN ISOLATION LEVEL READ COMMITTED"};
const PgStatement kNoTimeout{"", "SET LOCAL statement_timeout = 0"};
// A number of our own; statements after it see what its last holder has committed.
const PgStatement kLock{"", "SELECT pg_advisory_xact_lock(4711020203022)"};
const PgStatement kCommit{"", "COMMIT"};
const PgStatement kCountTables{
    "",
    "SELECT count(*), count(*) FILTER (WHERE relname IN ('schema_version', 'stock', 'orders')) "
    "FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND "
    "relname IN ('schema_version', 'products', 'stock', 'orders', 'order_items', 'order_states', "
    "'idempotency_keys', 'stock_ledger', 'outbox', 'inbox', 'parked')"};
const PgStatement kSelectVersion{
    "", "SELECT coalesce(max(version), 0), (SELECT count(*) FROM products) FROM schema_version"};
const PgStatement kAddVersion{"", "INSERT INTO schema_version VALUES ($1)"};
const PgStatement kAddProducts{
    "", "INSERT INTO products SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])"};
const PgStatement kAddStock{
    "", "INSERT INTO stock SELECT id, n, n FROM unnest($1::text[], $2::bigint[]) AS s (id, n)"};
const PgStatement kAddLedger{
    "",
    "INSERT INTO stock_ledger (product_id, delta, reason, at_ms) "
    "SELECT id, n, 'seed', $3 FROM unnest($1::text[], $2::bigint[]) AS s (id, n)"};

// Another try cannot help: the server is there and says no.
bool is_final(std::string_view why) {
  const auto says = [why](std::string_view text) {
    return why.find(text) != std::string_view::npos;
  };
  if (!says("FATAL")) return false;
  return !says("starting up") && !says("shutting down") && !says("recovery") && !says("too many") &&
         !says("remaining connection slots");
}

// One connection, asked from a thread that has nothing else to do.
class Session final : private PgEvents {
 public:
  explicit Session(const PgAddress& address) : connection_(loop_, address, *this) {}

  // "" or why there is no connection.
  std::string connect(Duration patience) {
    const TimePoint deadline = monotonic_now() + patience;
    connection_.start();
    wait([&] { return connection_.is_up() || is_final(why_) || monotonic_now() >= deadline; },
         deadline);
    if (connection_.is_up()) return {};
    return why_.empty() ? "no connection in time" : why_;
  }

  PgReply ask(const PgSteps& steps) {
    if (connection_.state() != PgConnection::State::kReady) {
      return {{}, {PgFault::kLost, {}, why_, {}}};
    }
    std::optional<PgReply> reply;
    connection_.run(steps, monotonic_now() + kPatience,
                    [&reply](PgReply got) { reply = std::move(got); });
    wait([&reply] { return reply.has_value(); }, {});
    return *std::move(reply);
  }

 private:
  void wait(const std::function<bool()>& is_done, TimePoint deadline) {
    loop::Timer alarm(
        loop_, [](void*) noexcept {}, nullptr);
    if (deadline != TimePoint{}) alarm.set(deadline);
    loop_.set_resident(true);
    while (!is_done()) loop_.run_once(true);
    loop_.set_resident(false);
  }
  void on_pg_ready(PgConnection&) noexcept override {}
  void on_pg_lost(PgConnection&, std::string_view why) noexcept override { why_ = why; }

  loop::Loop loop_;
  PgConnection connection_;
  std::string why_;
};

PgSteps seed_steps(const std::vector<Product>& seed) {
  std::vector<std::string> ids, names;
  std::vector<int64_t> prices, stock;
  for (const Product& product : seed) {
    ids.push_back(product.id);
    names.push_back(product.name);
    prices.push_back(product.price_cents);
    stock.push_back(product.stock);
  }
  const int64_t now_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(wall_now().time_since_epoch()).count();
  return {{&kAddProducts, PgValues(ids, names, prices)},
          {&kAddStock, PgValues(ids, stock)},
          {&kAddLedger, PgValues(ids, stock, now_ms)}};
}

std::string problem_of(const PgReply& reply) {
  if (!reply.failure) return {};
  return reply.failure.message.empty() ? reply.failure.error().text() : reply.failure.message;
}

// What is there, seen by the transaction that holds the lock.
struct Found {
  int64_t version = 0;  // 0: no tables
  bool has_products = false;
};

PgSchemaResult bring_up(Session& session, const Found& found, const std::vector<Product>& seed) {
  PgSteps steps;
  for (const PgMigration& step : pg_migrations()) {
    if (step.version <= found.version) continue;
    for (const PgStatement& statement : step.statements) steps.push_back({&statement, PgValues()});
    steps.push_back({&kAddVersion, PgValues(step.version)});
  }
  PgSchemaResult result;
  result.is_new = found.version == 0;
  if (!steps.empty()) result.migrated_from = found.version;
  if (!found.has_products && !seed.empty()) {
    result.is_new = true;
    for (PgStep& step : seed_steps(seed)) steps.push_back(std::move(step));
  }
  steps.push_back({&kCommit, PgValues()});
  result.problem = problem_of(session.ask(steps));
  return result;
}

}  // namespace

PgSchemaResult prepare_pg_schema(const PgAddress& address, const std::vector<Product>& seed,
                                 Duration patience) {
  Session session(address);
  if (std::string why = session.connect(patience); !why.empty()) return {why};
  const PgReply begun = session.ask({{&kBegin, PgValues()},
                                     {&kNoTimeout, PgValues()},
                                     {&kLock, PgValues()},
                                     {&kCountTables, PgValues()}});
  if (begun.failure) return {problem_of(begun)};
  const int64_t tables = begun.rows[3].number(0, 0);
  if (tables == 0) return bring_up(session, {}, seed);
  if (begun.rows[3].number(0, 1) != 3) return {"it holds tables of another program"};
  const PgReply looked = session.ask({{&kSelectVersion, PgValues()}});
  if (looked.failure) return {problem_of(looked)};
  const Found found{looked.rows[0].number(0, 0), looked.rows[0].number(0, 1) > 0};
  if (found.version > kPgSchemaVersion || found.version < pg_migrations().front().version) {
    return {fmt::format("its tables are of version {}, this program knows version {}",
                        found.version, kPgSchemaVersion)};
  }
  return bring_up(session, found, seed);
}

}  // namespace sluice::orders
