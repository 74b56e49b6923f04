-- One row per checkout. It is the ledger of its own exactly-once writes: unique by (principal, request_key), and every
-- change of state is a compare-and-set on the state it expects.
CREATE TABLE operations (
    id             TEXT PRIMARY KEY,
    principal      TEXT NOT NULL,
    request_key    TEXT NOT NULL,
    fingerprint    BLOB NOT NULL,
    version        INTEGER NOT NULL,
    state          TEXT NOT NULL
        CHECK (state IN ('accepted', 'needs_attention', 'completed', 'declined', 'refused', 'refunded')),
    snapshot       TEXT NOT NULL,
    -- The means of payment; wiped when the checkout ends.
    payment        TEXT,
    created_at_ms  INTEGER NOT NULL,
    not_after_ms   INTEGER NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0,
    reason         TEXT,
    -- The lease is for liveness only; safety is the compare-and-set.
    driver         TEXT,
    lease_until_ms INTEGER NOT NULL,
    next_try_at_ms INTEGER NOT NULL,
    provider_id    TEXT,
    answer         TEXT,
    UNIQUE (principal, request_key)
);

CREATE INDEX operations_by_principal ON operations (principal, id);
CREATE INDEX operations_open ON operations (next_try_at_ms) WHERE state IN ('accepted', 'needs_attention');
CREATE INDEX operations_attention ON operations (created_at_ms) WHERE state = 'needs_attention';

-- Cart operations that an open or completed checkout is buying: two keys cannot buy one line (IK-15).
CREATE TABLE claimed_ops (
    op        TEXT PRIMARY KEY,
    operation TEXT NOT NULL REFERENCES operations (id)
);

CREATE INDEX claimed_ops_by_operation ON claimed_ops (operation);

-- What is still to be done after a checkout ended. Taken by lease, deleted by exact id (CO-24).
CREATE TABLE outbox (
    id             TEXT PRIMARY KEY,
    operation      TEXT NOT NULL REFERENCES operations (id),
    kind           TEXT NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    attempts       INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX outbox_by_lease ON outbox (lease_until_ms, created_at_ms);
