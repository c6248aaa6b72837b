#include "sluice/orders/postgres/store_postgres.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "pg_reader.h"
#include "sluice/orders/postgres/pg_caller.h"
#include "sluice/orders/postgres/pg_events.h"
#include "sluice/orders/postgres/pg_placer.h"
#include "sluice/orders/postgres/pg_pool.h"
#include "sluice/orders/postgres/pg_schema.h"
#include "sluice/orders/postgres/pg_url.h"
#include "sluice/orders/stored.h"

namespace sluice::orders {
namespace {

constexpr Duration kForgetEvery = std::chrono::seconds(60);
// When there was more than one call takes: 500 each time keep up with some thousand orders a
// second.
constexpr Duration kForgetAgain = std::chrono::milliseconds(100);
constexpr int kMostForgotten = 500;
constexpr Duration kSentLife = std::chrono::hours(24);  // of events that were sent
constexpr Duration kCountingPatience = std::chrono::seconds(12);

const PgStatement kPing{"ping", "SELECT max(version) FROM schema_version"};
const PgStatement kRestock{
    "restock",
    "WITH added AS (UPDATE stock SET supplied = supplied + $2::bigint, available = available + "
    "$2::bigint WHERE product_id = $1 RETURNING product_id, available), "
    "noted AS (INSERT INTO stock_ledger (product_id, delta, reason, at_ms) "
    "SELECT product_id, $2::bigint, 'restock', $3::bigint FROM added) "
    "SELECT id, name, price_cents, available FROM products JOIN added ON product_id = id"};
// Some hundred in one call, and none that another process is forgetting. What is not sent yet is
// not locked: takers would skip it.
const PgStatement kForgetKeys{
    "forget_keys",
    "DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE at_ms <= $1 "
    "ORDER BY at_ms LIMIT 500 FOR UPDATE SKIP LOCKED) RETURNING 1"};
const PgStatement kForgetEvents{
    "forget_events",
    "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE sent_ms <= $1 AND seq IN "
    "(SELECT seq FROM outbox ORDER BY seq LIMIT 500) FOR UPDATE SKIP LOCKED) RETURNING 1"};

int64_t ms_before(Duration time) {
  return to_unix_ms(wall_now() - std::chrono::duration_cast<WallTime::duration>(time));
}

// What `make` makes of the rows, or the error.
template <typename T, typename Make>
PgConnection::Done answering(Answer<T> answer, Make make) {
  return [answer = std::move(answer), make](const PgReply& reply) {
    if (reply.failure) return answer(reply.failure.error());
    answer(make(reply.rows));
  };
}

template <typename T>
std::optional<T> first_of(std::vector<T> all) {
  return all.empty() ? std::optional<T>() : std::optional<T>(std::move(all.front()));
}

class PostgresStore final : public ShopStore {
 public:
  PostgresStore(loop::Loop& loop, PgAddress address)
      : loop_(loop),
        pool_(loop, std::move(address)),
        caller_(loop, pool_),
        placer_(loop, caller_),
        events_(loop, caller_),
        forget_timer_(loop::Timer::make<&PostgresStore::on_forget>(loop, this)) {
    pool_.start();
    forget_timer_.set_after(kForgetAgain);
  }

  void place(NewOrder order, Answer<Placed> answer) override {
    placer_.place(std::move(order), std::move(answer));
  }

  // Not made again when the connection was lost: units would be added twice.
  void restock(std::string product_id, int64_t quantity,
               Answer<std::optional<Product>> answer) override {
    caller_.write({{&kRestock, PgValues(product_id, quantity, to_unix_ms(wall_now()))}}, deadline(),
                  answering<std::optional<Product>>(std::move(answer), [](const auto& rows) {
                    return first_of(products_of(rows[0]));
                  }));
  }

  void products(Answer<std::vector<Product>> answer) override {
    caller_.read({read_products()}, deadline(),
                 answering<std::vector<Product>>(
                     std::move(answer), [](const auto& rows) { return products_of(rows[0]); }));
  }

  void product(std::string id, Answer<std::optional<Product>> answer) override {
    caller_.read({read_product(id)}, deadline(),
                 answering<std::optional<Product>>(std::move(answer), [](const auto& rows) {
                   return first_of(products_of(rows[0]));
                 }));
  }

  void order(std::string id, Answer<std::optional<Order>> answer) override {
    caller_.read({read_order(id)}, deadline(),
                 answering<std::optional<Order>>(std::move(answer), [](const auto& rows) {
                   return first_of(sluice::orders::orders_of(rows[0]));
                 }));
  }

  void orders_of(std::string user_id, Answer<std::vector<Order>> answer) override {
    caller_.read({read_orders(user_id, kMostListed)}, deadline(),
                 answering<std::vector<Order>>(std::move(answer), [](const auto& rows) {
                   return sluice::orders::orders_of(rows[0]);
                 }));
  }

  // One count at a time; who asks meanwhile gets the next one, however many they are.
  void totals(Answer<Totals> answer) override {
    counting_next_.push_back(std::move(answer));
    if (counting_.empty()) count();
  }

  void ping(Answer<Ok> answer) override {
    caller_.read({{&kPing, PgValues()}}, deadline(),
                 answering<Ok>(std::move(answer), [](const auto&) { return Ok{}; }));
  }

  size_t queue_depth() const noexcept override { return placer_.waiting() + pool_.waiting(); }
  std::string_view text() const noexcept override { return pool_.address().text; }

  void take_unsent(size_t most, Duration lease, Answer<std::vector<TakenEvent>> answer) override {
    events_.take_unsent(most, lease, std::move(answer));
  }
  void mark_sent(std::vector<std::string> event_ids, Answer<Ok> answer) override {
    events_.mark_sent(event_ids, std::move(answer));
  }
  void give_back(std::vector<std::string> event_ids, Duration after, Answer<Ok> answer) override {
    events_.give_back(event_ids, after, std::move(answer));
  }
  void outbox_depth(Answer<OutboxDepth> answer) override {
    events_.outbox_depth(std::move(answer));
  }
  void apply(Event event, Handling handling, Answer<Applied> answer) override {
    events_.apply(std::move(event), std::move(handling), std::move(answer));
  }
  void park(Event event, std::string consumer, std::string reason, Answer<Ok> answer) override {
    events_.park(event, consumer, reason, std::move(answer));
  }

 private:
  TimePoint deadline() const noexcept { return loop_.now() + kPatience; }

  void count() {
    counting_.swap(counting_next_);
    caller_.read(read_totals(to_unix_ms(wall_now())), loop_.now() + kCountingPatience,
                 [this](const PgReply& reply) {
                   const auto answers = std::exchange(counting_, {});
                   if (!counting_next_.empty()) count();
                   const Result<Totals> result = reply.failure
                                                     ? Result<Totals>(reply.failure.error())
                                                     : Result<Totals>(totals_of(reply.rows));
                   for (const Answer<Totals>& answer : answers) answer(result);
                 });
  }

  void on_forget() noexcept {
    forget_timer_.set_after(kForgetEvery);
    caller_.write({{&kForgetKeys, PgValues(ms_before(kKeyLife))},
                   {&kForgetEvents, PgValues(ms_before(kSentLife))}},
                  deadline(), [this](const PgReply& reply) {
                    const bool is_more = std::ranges::any_of(reply.rows, [](const PgRows& gone) {
                      return gone.size() >= kMostForgotten;
                    });
                    if (is_more) forget_timer_.set_after(kForgetAgain);
                  });
  }

  loop::Loop& loop_;
  PgPool pool_;
  PgCaller caller_;
  PgPlacer placer_;
  PgEventTable events_;
  loop::Timer forget_timer_;
  std::vector<Answer<Totals>> counting_, counting_next_;
};

}  // namespace

std::string postgres_url_problem(const std::string& url) { return parse_pg_url(url).problem; }

OpenedStore open_postgres_store(loop::Loop& loop, const std::string& url,
                                const std::vector<Product>& seed) {
  OpenedStore opened;
  PgUrl parsed = parse_pg_url(url);
  if (!parsed.problem.empty()) {
    opened.problem = "cannot use the database: " + parsed.problem;
    return opened;
  }
  const PgSchemaResult schema = prepare_pg_schema(parsed.address, seed);
  if (!schema.problem.empty()) {
    opened.problem =
        fmt::format("cannot use the database {}: {}", parsed.address.text, schema.problem);
    return opened;
  }
  opened.is_new = schema.is_new;
  opened.migrated_from = schema.migrated_from;
  opened.store = std::make_unique<PostgresStore>(loop, std::move(parsed.address));
  return opened;
}

}  // namespace sluice::orders
