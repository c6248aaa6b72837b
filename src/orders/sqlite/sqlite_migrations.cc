#include "sluice/orders/sqlite/sqlite_migrations.h"

#include <iterator>
#include <string>
#include <utility>

#include "sluice/orders/event.h"
#include "sluice/orders/sqlite/event_writer.h"

namespace sluice::orders {
namespace {

constexpr const char* kVersion1 = R"sql(
  CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;

  CREATE TABLE products (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE stock (
    product_id  TEXT PRIMARY KEY REFERENCES products (id),
    supplied    INTEGER NOT NULL CHECK (supplied >= 0),
    available   INTEGER NOT NULL CHECK (available >= 0),
    CHECK (available <= supplied)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE orders (
    id          TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL,
    status      TEXT NOT NULL,
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX orders_by_user ON orders (user_id, id);

  CREATE TABLE order_items (
    order_id    TEXT NOT NULL REFERENCES orders (id),
    line        INTEGER NOT NULL,
    product_id  TEXT NOT NULL REFERENCES products (id),
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE order_states (
    order_id    TEXT NOT NULL REFERENCES orders (id),
    step        INTEGER NOT NULL,
    state       TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    PRIMARY KEY (order_id, step)
  ) STRICT, WITHOUT ROWID;

  -- With a rowid: keys come in random order, and rows with bodies shall not be strewn by them.
  CREATE TABLE idempotency_keys (
    key         TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    order_id    TEXT NOT NULL REFERENCES orders (id),
    status      INTEGER NOT NULL,
    body        TEXT NOT NULL,
    sold_out    TEXT NOT NULL,
    at_ms       INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at_ms);
)sql";

// The ledger of an order that is there already has one row a product, as a new one.
constexpr const char* kVersion2 = R"sql(
  ALTER TABLE orders ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE orders ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
  UPDATE order_states SET step = step + 1;

  CREATE TABLE stock_ledger (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id  TEXT NOT NULL REFERENCES products (id),
    delta       INTEGER NOT NULL,
    reason      TEXT NOT NULL CHECK (reason IN ('seed', 'restock', 'order', 'release')),
    order_id    TEXT REFERENCES orders (id),
    at_ms       INTEGER NOT NULL
  ) STRICT;
  INSERT INTO stock_ledger (product_id, delta, reason, at_ms)
    SELECT product_id, supplied, 'seed', unixepoch() * 1000 FROM stock;
  INSERT INTO stock_ledger (product_id, delta, reason, order_id, at_ms)
    SELECT product_id, -sum(quantity), 'order', i.order_id, min(at_ms)
    FROM order_items AS i JOIN order_states AS s ON s.order_id = i.order_id AND s.step = 1
    GROUP BY i.order_id, product_id;

  CREATE TABLE outbox (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id       TEXT NOT NULL UNIQUE,
    order_id       TEXT NOT NULL,
    version        INTEGER NOT NULL,
    type           TEXT NOT NULL,
    payload        TEXT NOT NULL,
    request_id     TEXT NOT NULL,
    traceparent    TEXT NOT NULL,
    created_ms     INTEGER NOT NULL,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    attempts       INTEGER NOT NULL DEFAULT 0,
    sent_ms        INTEGER
  ) STRICT;
  CREATE INDEX outbox_unsent ON outbox (seq, lease_until_ms) WHERE sent_ms IS NULL;

  CREATE TABLE inbox (
    consumer    TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    PRIMARY KEY (consumer, event_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE parked (
    consumer    TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    order_id    TEXT NOT NULL,
    type        TEXT NOT NULL,
    payload     TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    PRIMARY KEY (consumer, event_id)
  ) STRICT, WITHOUT ROWID;
)sql";

Status to_version_1(Database& db) { return db.run(kVersion1); }

// Version 1 had no events: its orders begin their way now, the oldest first (ids grow with time).
Status add_events(Database& db) {
  Statement select(
      "SELECT o.id, user_id, status, total_cents, at_ms, product_id, quantity, price_cents "
      "FROM orders AS o JOIN order_states AS s ON s.order_id = o.id AND step = 1 "
      "JOIN order_items AS i ON i.order_id = o.id ORDER BY o.id, line");
  EventWriter events(db);
  Query rows(db, select);
  Order order;
  WallTime at{};
  while (true) {
    SL_TRY(bool is_there, rows.next());
    if (!order.id.empty() && (!is_there || rows.text(0) != order.id)) {
      SL_TRY([[maybe_unused]] Ok added, events.add(make_event(order, {}, at)));
      order = {};
    }
    if (!is_there) return Ok{};
    if (order.id.empty()) {
      order.id = rows.text(0);
      order.user_id = rows.text(1);
      order.status = rows.text(2);
      order.total_cents = rows.number(3);
      at = from_unix_ms(rows.number(4));
    }
    order.lines.push_back({rows.text(5), rows.number(6), rows.number(7)});
  }
}

Status to_version_2(Database& db) {
  Status done = db.run(kVersion2);
  if (done) done = add_events(db);
  return done;
}

constexpr Status (*kSteps[])(Database&) = {to_version_1, to_version_2};
static_assert(std::size(kSteps) == kSchemaVersion);

}  // namespace

Status migrate(Database& db, int64_t version) {
  Statement add_version("INSERT INTO schema_version (version) VALUES (?)");
  for (int64_t step = version; step < kSchemaVersion; ++step) {
    Status done = kSteps[step](db);
    if (done) done = Query(db, add_version, step + 1).run();
    if (!done) return done;
  }
  return Ok{};
}

}  // namespace sluice::orders
