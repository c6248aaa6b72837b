-- For pgbench: what sluice-orders does for one order that comes alone, on the tables that it made. -D products=1 is the hot product.
\set product random(1, :products)
\set id random(1, 9000000000000000000)
SELECT id, price_cents, available FROM products JOIN stock ON product_id = id WHERE id = ANY (ARRAY['p' || :product::text]);
SELECT key, fingerprint, order_id, status, body, sold_out FROM idempotency_keys WHERE key = ANY (ARRAY['k' || :id::text]) AND at_ms > 0;
SELECT * FROM place_orders((extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0, ARRAY['b' || :id::text], ARRAY['u1'], ARRAY[0]::bigint[], ARRAY[1]::bigint[], ARRAY['01a20923-5c12-7344-9a77-10820ad0b1f1'], ARRAY[''], ARRAY[repeat('x', 330)], ARRAY['k' || :id::text], ARRAY['0123456789abcdef0123456789abcdef'], ARRAY[201]::bigint[], ARRAY[repeat('x', 150)], ARRAY['b' || :id::text], ARRAY[0]::bigint[], ARRAY['p' || :product::text], ARRAY[1]::bigint[], ARRAY[1]::bigint[]);
