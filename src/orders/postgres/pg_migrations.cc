#include "pg_migrations.h"

namespace sluice::orders {
namespace {

// Ids are compared by bytes, so that rows are locked in the order that C++ and SQLite know.
constexpr const char* kTables[] = {
    R"sql(
  CREATE TABLE schema_version (version bigint NOT NULL)
)sql",
    R"sql(
  CREATE TABLE products (
    id          text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0)
  )
)sql",
    // Room in each page for the next versions of its rows: they change with each order.
    R"sql(
  CREATE TABLE stock (
    product_id  text COLLATE "C" PRIMARY KEY REFERENCES products (id),
    supplied    bigint NOT NULL CHECK (supplied >= 0),
    available   bigint NOT NULL CHECK (available >= 0),
    CHECK (available <= supplied)
  ) WITH (fillfactor = 25)
)sql",
    R"sql(
  CREATE TABLE orders (
    id          text COLLATE "C" PRIMARY KEY,
    user_id     text COLLATE "C" NOT NULL,
    status      text NOT NULL CHECK (status IN ('accepted', 'paid', 'shipped', 'failed')),
    version     bigint NOT NULL,
    total_cents bigint NOT NULL CHECK (total_cents >= 0),
    request_id  text NOT NULL
  ) WITH (fillfactor = 80)
)sql",
    R"sql(
  CREATE INDEX orders_by_user ON orders (user_id, id)
)sql",
    R"sql(
  CREATE TABLE stock_ledger (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id  text COLLATE "C" NOT NULL REFERENCES products (id),
    delta       bigint NOT NULL,
    reason      text NOT NULL CHECK (reason IN ('seed', 'restock', 'order', 'release')),
    order_id    text COLLATE "C" REFERENCES orders (id),
    at_ms       bigint NOT NULL
  )
)sql",
    R"sql(
  CREATE TABLE order_items (
    order_id    text COLLATE "C" NOT NULL REFERENCES orders (id),
    line        bigint NOT NULL,
    product_id  text COLLATE "C" NOT NULL REFERENCES products (id),
    quantity    bigint NOT NULL CHECK (quantity > 0),
    price_cents bigint NOT NULL,
    PRIMARY KEY (order_id, line)
  )
)sql",
    R"sql(
  CREATE TABLE order_states (
    order_id    text COLLATE "C" NOT NULL REFERENCES orders (id),
    step        bigint NOT NULL,
    state       text NOT NULL,
    at_ms       bigint NOT NULL,
    PRIMARY KEY (order_id, step)
  )
)sql",
    R"sql(
  CREATE TABLE idempotency_keys (
    key         text COLLATE "C" PRIMARY KEY,
    fingerprint text NOT NULL,
    order_id    text COLLATE "C" NOT NULL REFERENCES orders (id),
    status      bigint NOT NULL,
    body        text NOT NULL,
    sold_out    text NOT NULL,
    at_ms       bigint NOT NULL
  )
)sql",
    R"sql(
  CREATE INDEX idempotency_keys_by_time ON idempotency_keys (at_ms)
)sql",
    R"sql(
  CREATE TABLE outbox (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id       text COLLATE "C" NOT NULL UNIQUE,
    order_id       text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    type           text NOT NULL,
    payload        text NOT NULL,
    request_id     text NOT NULL,
    traceparent    text NOT NULL,
    created_ms     bigint NOT NULL,
    lease_until_ms bigint NOT NULL DEFAULT 0,
    attempts       bigint NOT NULL DEFAULT 0,
    sent_ms        bigint
  ) WITH (fillfactor = 70)
)sql",
    R"sql(
  CREATE INDEX outbox_unsent ON outbox (seq) WHERE sent_ms IS NULL
)sql",
    R"sql(
  CREATE TABLE inbox (
    consumer    text COLLATE "C" NOT NULL,
    event_id    text COLLATE "C" NOT NULL,
    at_ms       bigint NOT NULL,
    PRIMARY KEY (consumer, event_id)
  )
)sql",
    R"sql(
  CREATE TABLE parked (
    consumer    text COLLATE "C" NOT NULL,
    event_id    text COLLATE "C" NOT NULL,
    reason      text NOT NULL,
    order_id    text NOT NULL,
    type        text NOT NULL,
    payload     text NOT NULL,
    at_ms       bigint NOT NULL,
    PRIMARY KEY (consumer, event_id)
  )
)sql"};

// All orders of a group in one transaction without a round trip inside, or none: a rule that does
// not hold raises, and the asker looks at the database again. The keys come before the stock: who
// uses one of them at this moment is waited for while no stock is held. The stock comes last, by
// product id, so that its rows are locked in one order and for the shortest time.
constexpr const char* kPlaceOrders = R"sql(
  CREATE FUNCTION place_orders(
    now_ms bigint, oldest_key_ms bigint,
    order_ids text[], users text[], user_limits bigint[], totals bigint[], request_ids text[],
    traceparents text[], payloads text[],
    keys text[], fingerprints text[], statuses bigint[], bodies text[],
    item_orders text[], item_lines bigint[], item_products text[], item_quantities bigint[],
    item_prices bigint[])
  RETURNS TABLE (last_order text, last_of text)
  LANGUAGE plpgsql AS $function$
  DECLARE
    wanted record;
    units_left bigint;
  BEGIN
    INSERT INTO orders (id, user_id, status, version, total_cents, request_id)
      SELECT n.id, n.user_id, 'accepted', 1, n.total, n.request_id
      FROM unnest(order_ids, users, totals, request_ids) AS n (id, user_id, total, request_id);

    DELETE FROM idempotency_keys AS k WHERE k.key = ANY (keys) AND k.at_ms <= oldest_key_ms;
    INSERT INTO idempotency_keys (key, fingerprint, order_id, status, body, sold_out, at_ms)
      SELECT n.key, n.fingerprint, n.order_id, n.status, n.body, '', now_ms
      FROM unnest(keys, fingerprints, order_ids, statuses, bodies)
        AS n (key, fingerprint, order_id, status, body)
      ORDER BY n.key COLLATE "C";

    IF 0 < ANY (user_limits) THEN
      PERFORM pg_advisory_xact_lock(hashtextextended(u.id, 0))
        FROM (SELECT DISTINCT id FROM unnest(users) AS id ORDER BY id) AS u;
      PERFORM FROM unnest(users, user_limits) AS u (id, most)
        WHERE u.most > 0 AND u.most < (SELECT count(*) FROM orders AS o
                                       WHERE o.user_id = u.id AND o.status <> 'failed');
      IF FOUND THEN
        RAISE EXCEPTION 'a user has too many orders' USING ERRCODE = 'SL002';
      END IF;
    END IF;

    INSERT INTO order_items (order_id, line, product_id, quantity, price_cents)
      SELECT * FROM unnest(item_orders, item_lines, item_products, item_quantities, item_prices);
    INSERT INTO order_states (order_id, step, state, at_ms)
      SELECT id, 1, 'accepted', now_ms FROM unnest(order_ids) AS id;
    INSERT INTO outbox (event_id, order_id, version, type, payload, request_id, traceparent,
                        created_ms)
      SELECT n.order_id || '-1', n.order_id, 1, 'order.accepted', n.payload, n.request_id,
             n.traceparent, now_ms
      FROM unnest(order_ids, payloads, request_ids, traceparents)
        AS n (order_id, payload, request_id, traceparent);
    INSERT INTO stock_ledger (product_id, delta, reason, order_id, at_ms)
      SELECT i.product_id, -sum(i.quantity), 'order', i.order_id, now_ms
      FROM unnest(item_orders, item_products, item_quantities) AS i (order_id, product_id, quantity)
      GROUP BY i.order_id, i.product_id;

    FOR wanted IN
      SELECT i.product_id, sum(i.quantity)::bigint AS units,
             (array_agg(i.order_id ORDER BY i.n DESC))[1] AS last_order
      FROM unnest(item_orders, item_products, item_quantities) WITH ORDINALITY
        AS i (order_id, product_id, quantity, n)
      GROUP BY i.product_id ORDER BY i.product_id COLLATE "C"
    LOOP
      UPDATE stock AS s SET available = s.available - wanted.units
        WHERE s.product_id = wanted.product_id AND s.available >= wanted.units
        RETURNING s.available INTO units_left;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'sold out' USING ERRCODE = 'SL001';
      END IF;
      IF units_left = 0 THEN
        UPDATE idempotency_keys AS k SET sold_out = ltrim(k.sold_out || ' ' || wanted.product_id)
          WHERE k.key = keys[array_position(order_ids, wanted.last_order)];
        last_order := wanted.last_order;
        last_of := wanted.product_id;
        RETURN NEXT;
      END IF;
    END LOOP;
  END
  $function$
)sql";

// One step of an order's way, with the event of it and the units that go back when it failed.
constexpr const char* kMoveOrder = R"sql(
  CREATE FUNCTION move_order(
    now_ms bigint, by_consumer text, handled_event text,
    moved_order text, from_version bigint, from_status text, to_status text,
    next_event text, next_type text, next_payload text, next_request_id text,
    next_traceparent text)
  RETURNS TABLE (outcome text, product text, units bigint, is_back boolean)
  LANGUAGE plpgsql AS $function$
  DECLARE
    given record;
    units_now bigint;
  BEGIN
    INSERT INTO inbox (consumer, event_id, at_ms) VALUES (by_consumer, handled_event, now_ms)
      ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'duplicate', NULL::text, NULL::bigint, NULL::boolean;
      RETURN;
    END IF;
    UPDATE orders AS o SET status = to_status, version = from_version + 1
      WHERE o.id = moved_order AND o.version = from_version AND o.status = from_status;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the order has moved' USING ERRCODE = 'SL003';
    END IF;
    INSERT INTO order_states (order_id, step, state, at_ms)
      VALUES (moved_order, from_version + 1, to_status, now_ms);
    INSERT INTO outbox (event_id, order_id, version, type, payload, request_id, traceparent,
                        created_ms)
      VALUES (next_event, moved_order, from_version + 1, next_type, next_payload, next_request_id,
              next_traceparent, now_ms);
    RETURN QUERY SELECT 'moved', NULL::text, NULL::bigint, NULL::boolean;
    IF to_status <> 'failed' THEN
      RETURN;
    END IF;

    FOR given IN
      SELECT i.product_id, sum(i.quantity)::bigint AS units FROM order_items AS i
      WHERE i.order_id = moved_order GROUP BY i.product_id ORDER BY i.product_id
    LOOP
      INSERT INTO stock_ledger (product_id, delta, reason, order_id, at_ms)
        VALUES (given.product_id, given.units, 'release', moved_order, now_ms);
      UPDATE stock AS s SET available = s.available + given.units
        WHERE s.product_id = given.product_id RETURNING s.available INTO units_now;
      RETURN QUERY SELECT 'released', given.product_id, given.units, units_now = given.units;
    END LOOP;
  END
  $function$
)sql";

PgMigration to_version_2() {
  PgMigration step{2, {}};
  for (const char* table : kTables) step.statements.push_back({"", table});
  step.statements.push_back({"", kPlaceOrders});
  step.statements.push_back({"", kMoveOrder});
  return step;
}

}  // namespace

const std::vector<PgMigration>& pg_migrations() {
  static const std::vector<PgMigration> all{to_version_2()};
  return all;
}

}  // namespace sluice::orders
