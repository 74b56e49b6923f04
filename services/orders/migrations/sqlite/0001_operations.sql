-- One row per checkout, for ever. It is the ledger of its own exactly-once writes: unique by (principal, request_key), and
-- every change of state is a compare-and-set on the state it expects.
CREATE TABLE operations (
    id                 TEXT PRIMARY KEY,
    principal          TEXT NOT NULL,
    -- Forgotten (NULL, so that it is unique no more) long after the end.
    request_key        TEXT,
    fingerprint        BLOB NOT NULL,
    version            INTEGER NOT NULL,
    state              TEXT NOT NULL
        CHECK (state IN ('accepted', 'needs_attention', 'completed', 'declined', 'refused', 'refunded')),
    snapshot           TEXT NOT NULL,
    -- The means of payment; wiped when the checkout ends.
    payment            TEXT,
    created_at_ms      INTEGER NOT NULL,
    not_after_ms       INTEGER NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    reason             TEXT,
    -- When it last came to wait for a person.
    attention_since_ms INTEGER,
    -- The lease is for liveness only; safety is the compare-and-set.
    driver             TEXT,
    lease_until_ms     INTEGER NOT NULL,
    next_try_at_ms     INTEGER NOT NULL,
    provider_id        TEXT,
    refund_id          TEXT,
    -- What repeats get; wiped some time after the end.
    answer             TEXT,
    ended_at_ms        INTEGER,
    UNIQUE (principal, request_key),
    CHECK ((ended_at_ms IS NULL) = (state IN ('accepted', 'needs_attention')))
);

CREATE INDEX operations_by_principal ON operations (principal, id);
CREATE INDEX operations_open ON operations (next_try_at_ms) WHERE state IN ('accepted', 'needs_attention');
CREATE INDEX operations_attention ON operations (attention_since_ms) WHERE state = 'needs_attention';
CREATE INDEX operations_answered ON operations (ended_at_ms) WHERE answer IS NOT NULL;
CREATE INDEX operations_keyed ON operations (ended_at_ms) WHERE request_key IS NOT NULL;

-- Cart operations that an open or completed checkout is buying: two keys cannot buy one line (IK-15).
CREATE TABLE claimed_ops (
    op        TEXT PRIMARY KEY,
    operation TEXT NOT NULL REFERENCES operations (id)
);

CREATE INDEX claimed_ops_by_operation ON claimed_ops (operation);

-- What is still to be done after a checkout ended. Taken by lease, deleted by exact id (CO-24).
CREATE TABLE outbox (
    id                 TEXT PRIMARY KEY,
    operation          TEXT NOT NULL REFERENCES operations (id),
    kind               TEXT NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    lease_until_ms     INTEGER NOT NULL DEFAULT 0,
    attempts           INTEGER NOT NULL DEFAULT 0,
    -- Since when it waits for a person and is not delivered any more (CO-26).
    attention_since_ms INTEGER
);

CREATE INDEX outbox_by_lease ON outbox (lease_until_ms, created_at_ms) WHERE attention_since_ms IS NULL;
CREATE INDEX outbox_by_age ON outbox (created_at_ms) WHERE attention_since_ms IS NULL;
CREATE INDEX outbox_attention ON outbox (attention_since_ms) WHERE attention_since_ms IS NOT NULL;

-- The last tries of each checkout that came to nothing definite (CO-21).
CREATE TABLE attempts (
    operation TEXT NOT NULL REFERENCES operations (id),
    number    INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (operation, number)
);

-- Differences between the provider's ledger and ours. A closed one stays, so that finding it again adds nothing.
CREATE TABLE findings (
    id           TEXT PRIMARY KEY,
    operation    TEXT,
    reason       TEXT NOT NULL,
    amount       TEXT,
    since_ms     INTEGER NOT NULL,
    closed_at_ms INTEGER
);

CREATE INDEX findings_open ON findings (since_ms) WHERE closed_at_ms IS NULL;

-- What people decided (CO-22), and the exactly-once ledger of it: written in the transaction of the effect.
CREATE TABLE actions (
    request_id  TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    item        TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    action      TEXT NOT NULL,
    operator    TEXT NOT NULL,
    note        TEXT NOT NULL,
    answer      TEXT NOT NULL
);

CREATE INDEX actions_by_item ON actions (item, at_ms);
