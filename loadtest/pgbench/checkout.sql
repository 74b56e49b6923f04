-- One checkout of one line, as the nodes of the shop send it to PostgreSQL: every transaction of it, and nothing else.
--
-- Derived from the server's log (log_statement = all, log_line_prefix with the application name) of real checkouts by one
-- client; the statements are those of services/*/src/store/sql*, with these differences:
-- - one connection sends all of them, where the shop's families have connections of their own;
-- - tables carry their schema's name, where the nodes set search_path;
-- - ids are put together from numbers (pgbench has no texts), 36 characters long and rising as the shop's UUIDv7 do;
-- - the outbox is leased, its stock settled and its events forgotten in batches, as the logic nodes do: of 16 checkouts at
--   once here, of what came in 0.1 to 0.2 s there. pgbench cannot read a set of rows, so a batch comes back as one row with
--   the same bytes.
-- Left out: what the nodes ask without a checkout (checkouts that are due, leases of permits, copies of the shelf), a few
-- dozen statements a second in all.
--
-- Variables of the caller: n (first number), skus (number of products), and snapshot, answer, clear, receipt, fingerprint:
-- what one real checkout wrote.
\set n :n + 1
\set op 100000000000 + :n * 1000 + :client_id
\set sku random(1, :skus)
\set turn :n % 16

-- logic asks orders: is the key known?
SELECT id, principal, fingerprint, version, state, snapshot, payment, created_at_ms, not_after_ms, attempts, reason, attention_since_ms, driver, lease_until_ms, answer, ended_at_ms, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms FROM orders.operations WHERE principal = '01999999-1111-7000-8000-' || :op AND request_key = '01999999-2222-7000-8000-' || :op;

-- orders: the key and the cart's lines are claimed
BEGIN;
INSERT INTO orders.operations (id, principal, request_key, fingerprint, version, state, snapshot, payment, created_at_ms, not_after_ms, driver, lease_until_ms, next_try_at_ms) VALUES ('01999999-0000-7000-8000-' || :op, '01999999-1111-7000-8000-' || :op, '01999999-2222-7000-8000-' || :op, :fingerprint, 1, 'accepted', :snapshot, 'tok_ok', CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + 82800000, '01999999-3333-7000-8000-' || :op, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + 3000, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) ON CONFLICT (principal, request_key) DO NOTHING RETURNING id, principal, fingerprint, version, state, snapshot, payment, created_at_ms, not_after_ms, attempts, reason, attention_since_ms, driver, lease_until_ms, answer, ended_at_ms, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms;
INSERT INTO orders.claimed_ops (op, operation) VALUES ('01999999-4444-7000-8000-' || :op, '01999999-0000-7000-8000-' || :op) ON CONFLICT (op) DO NOTHING;
COMMIT;

-- catalogue: the pieces are reserved
BEGIN;
UPDATE catalogue.products SET available = available - 1, reserved = reserved + 1 WHERE sku = 'a-book-number-' || :sku AND available >= 1;
INSERT INTO catalogue.reservations (operation, state, changed_at_ms) VALUES ('01999999-0000-7000-8000-' || :op, 'reserved', CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT));
INSERT INTO catalogue.reservation_lines (operation, sku, quantity) VALUES ('01999999-0000-7000-8000-' || :op, 'a-book-number-' || :sku, 1);
INSERT INTO catalogue.ledger (request_id, fingerprint, answer, created_at_ms) VALUES ('01999999-0000-7000-8000-' || :op, :fingerprint, '{"Ok": null}', CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT));
COMMIT;

-- payments: the intent; (the provider's call;) the decision. Each is a transaction of one statement.
INSERT INTO payments.charges (operation, state, amount_minor, currency, token_hash, not_after_ms, attempts, maybe_sent, created_at_ms, changed_at_ms) SELECT '01999999-0000-7000-8000-' || :op, 'intended', 1299, 'GBP', :fingerprint, 9000000000000, 1, 1, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) WHERE CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) <= 9000000000000 AND (9000000000000 - CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) <= 9000000000000 OR EXISTS (SELECT 1 FROM payments.charges WHERE operation = '01999999-0000-7000-8000-' || :op)) ON CONFLICT (operation) DO UPDATE SET attempts = charges.attempts + 1, maybe_sent = charges.maybe_sent + 1, changed_at_ms = excluded.changed_at_ms WHERE charges.state = 'intended' AND charges.amount_minor = excluded.amount_minor AND charges.currency = excluded.currency AND charges.token_hash = excluded.token_hash AND charges.not_after_ms = excluded.not_after_ms;
INSERT INTO payments.charges (operation, amount_minor, currency, token_hash, not_after_ms, state, provider_id, decline_code, attempts, maybe_sent, created_at_ms, changed_at_ms) VALUES ('01999999-0000-7000-8000-' || :op, 1299, 'GBP', :fingerprint, 9000000000000, 'charged', 'ch_01999999-0000-7000-8000-' || :op, NULL, 0, 0, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) ON CONFLICT (operation) DO UPDATE SET state = excluded.state, provider_id = excluded.provider_id, decline_code = excluded.decline_code, changed_at_ms = excluded.changed_at_ms WHERE charges.state = 'intended';

-- the provider's webhook, by way of frontend and logic: payments knows already, and orders has nothing to hurry
SELECT state, amount_minor, currency, token_hash, not_after_ms, attempts, maybe_sent, provider_id, decline_code, operator, note FROM payments.charges WHERE operation = '01999999-0000-7000-8000-' || :op;
SELECT EXISTS (SELECT 1 FROM orders.operations WHERE id = '01999999-0000-7000-8000-' || :op AND state IN ('accepted', 'needs_attention') AND next_try_at_ms > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT));

-- orders: state, answer and events in one transaction
BEGIN;
SELECT id, principal, fingerprint, version, state, snapshot, payment, created_at_ms, not_after_ms, attempts, reason, attention_since_ms, driver, lease_until_ms, answer, ended_at_ms, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms FROM orders.operations WHERE id = '01999999-0000-7000-8000-' || :op FOR UPDATE;
UPDATE orders.operations SET state = 'completed', provider_id = 'ch_01999999-0000-7000-8000-' || :op, answer = :answer, ended_at_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), payment = NULL, driver = NULL, lease_until_ms = 0 WHERE id = '01999999-0000-7000-8000-' || :op AND state IN ('accepted', 'needs_attention');
INSERT INTO orders.outbox (id, operation, kind, created_at_ms) VALUES ('01999999-5555-7000-8000-' || :op, '01999999-0000-7000-8000-' || :op, '"settle_stock"', CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)), ('01999999-6666-7000-8000-' || :op, '01999999-0000-7000-8000-' || :op, :clear, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)), ('01999999-7777-7000-8000-' || :op, '01999999-0000-7000-8000-' || :op, :receipt, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)) ON CONFLICT (id) DO NOTHING;
COMMIT;

-- orders: one checkout in 16 leases a batch of events; catalogue: the pieces are sold; orders: the events are forgotten
\if :turn = 0
SELECT EXISTS (SELECT 1 FROM orders.outbox WHERE attention_since_ms IS NULL AND lease_until_ms <= CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)), EXISTS (SELECT 1 FROM orders.outbox WHERE attention_since_ms IS NULL AND lease_until_ms <= CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AND attempts >= 20);
BEGIN;
WITH picked AS MATERIALIZED (SELECT id FROM orders.outbox WHERE attention_since_ms IS NULL AND lease_until_ms <= CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AND attempts < 20 ORDER BY lease_until_ms, created_at_ms LIMIT 100 FOR UPDATE SKIP LOCKED), leased AS (UPDATE orders.outbox SET attempts = attempts + 1, lease_until_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + 5000 * CASE attempts WHEN 0 THEN 1 WHEN 1 THEN 2 WHEN 2 THEN 4 WHEN 3 THEN 8 ELSE 12 END WHERE id IN (SELECT id FROM picked) RETURNING id, operation, kind, created_at_ms) SELECT coalesce(string_agg(id, ','), '') AS ids, coalesce(string_agg(operation || kind || created_at_ms, ''), '') AS events, coalesce(string_agg(CASE kind WHEN '"settle_stock"' THEN operation END, ','), '') AS sold FROM leased \gset
COMMIT;
BEGIN;
SELECT count(operation || state) FROM (SELECT operation, state FROM catalogue.reservations WHERE operation = ANY (string_to_array(:sold, ',')) ORDER BY operation FOR UPDATE) AS locked;
SELECT count(sku) FROM (SELECT sku FROM catalogue.products WHERE sku IN (SELECT sku FROM catalogue.reservation_lines WHERE operation = ANY (string_to_array(:sold, ','))) ORDER BY sku FOR UPDATE) AS locked;
UPDATE catalogue.products SET sold = sold + sums.quantity, reserved = reserved - sums.quantity FROM (SELECT sku, CAST(sum(quantity) AS BIGINT) AS quantity FROM catalogue.reservation_lines WHERE operation = ANY (string_to_array(:sold, ',')) GROUP BY sku) AS sums WHERE sums.sku = products.sku;
UPDATE catalogue.reservations SET state = 'settled', changed_at_ms = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) WHERE operation = ANY (string_to_array(:sold, ',')) AND state = 'reserved';
COMMIT;
DELETE FROM orders.outbox WHERE id = ANY (string_to_array(:ids, ','));
\endif
