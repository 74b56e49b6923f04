-- One row per checkout. It is the ledger of its own exactly-once writes: unique by (principal, request_key), and every
-- change of state is a compare-and-set on the state it expects.
CREATE TABLE operations (
    id             TEXT COLLATE "C" PRIMARY KEY,
    principal      TEXT COLLATE "C" NOT NULL,
    request_key    TEXT COLLATE "C" NOT NULL,
    fingerprint    BYTEA NOT NULL,
    version        BIGINT NOT NULL,
    state          TEXT COLLATE "C" NOT NULL
        CHECK (state IN ('accepted', 'needs_attention', 'completed', 'declined', 'refused', 'refunded')),
    snapshot       TEXT COLLATE "C" NOT NULL,
    -- The means of payment; wiped when the checkout ends.
    payment        TEXT COLLATE "C",
    created_at_ms  BIGINT NOT NULL,
    not_after_ms   BIGINT NOT NULL,
    attempts       BIGINT NOT NULL DEFAULT 0,
    reason         TEXT COLLATE "C",
    -- The lease is for liveness only; safety is the compare-and-set.
    driver         TEXT COLLATE "C",
    lease_until_ms BIGINT NOT NULL,
    next_try_at_ms BIGINT NOT NULL,
    provider_id    TEXT COLLATE "C",
    answer         TEXT COLLATE "C",
    UNIQUE (principal, request_key)
);

CREATE INDEX operations_by_principal ON operations (principal, id);
CREATE INDEX operations_open ON operations (next_try_at_ms) WHERE state IN ('accepted', 'needs_attention');
CREATE INDEX operations_attention ON operations (created_at_ms) WHERE state = 'needs_attention';

-- Cart operations that an open or completed checkout is buying: two keys cannot buy one line (IK-15).
CREATE TABLE claimed_ops (
    op        TEXT COLLATE "C" PRIMARY KEY,
    operation TEXT COLLATE "C" NOT NULL REFERENCES operations (id)
);

CREATE INDEX claimed_ops_by_operation ON claimed_ops (operation);

-- What is still to be done after a checkout ended. Taken by lease, deleted by exact id (CO-24).
CREATE TABLE outbox (
    id             TEXT COLLATE "C" PRIMARY KEY,
    operation      TEXT COLLATE "C" NOT NULL REFERENCES operations (id),
    kind           TEXT COLLATE "C" NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    attempts       BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX outbox_by_lease ON outbox (lease_until_ms, created_at_ms);
