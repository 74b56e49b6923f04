-- One row per checkout, for ever. It is the ledger of its own exactly-once writes: unique by (principal, request_key), and
-- every change of state is a compare-and-set on the state it expects.
CREATE TABLE operations (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    principal          TEXT COLLATE "C" NOT NULL,
    -- Forgotten (NULL, so that it is unique no more) long after the end.
    request_key        TEXT COLLATE "C",
    fingerprint        BYTEA NOT NULL,
    version            BIGINT NOT NULL,
    state              TEXT COLLATE "C" NOT NULL
        CHECK (state IN ('accepted', 'needs_attention', 'completed', 'declined', 'refused', 'refunded')),
    snapshot           TEXT COLLATE "C" NOT NULL,
    -- The means of payment; wiped when the checkout ends.
    payment            TEXT COLLATE "C",
    created_at_ms      BIGINT NOT NULL,
    not_after_ms       BIGINT NOT NULL,
    attempts           BIGINT NOT NULL DEFAULT 0,
    reason             TEXT COLLATE "C",
    -- When it last came to wait for a person.
    attention_since_ms BIGINT,
    -- The lease is for liveness only; safety is the compare-and-set.
    driver             TEXT COLLATE "C",
    lease_until_ms     BIGINT NOT NULL,
    next_try_at_ms     BIGINT NOT NULL,
    provider_id        TEXT COLLATE "C",
    refund_id          TEXT COLLATE "C",
    -- What repeats get; wiped some time after the end.
    answer             TEXT COLLATE "C",
    ended_at_ms        BIGINT,
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
    op        TEXT COLLATE "C" PRIMARY KEY,
    operation TEXT COLLATE "C" NOT NULL REFERENCES operations (id)
);

CREATE INDEX claimed_ops_by_operation ON claimed_ops (operation);

-- What is still to be done after a checkout ended. Taken by lease, deleted by exact id (CO-24).
CREATE TABLE outbox (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    operation          TEXT COLLATE "C" NOT NULL REFERENCES operations (id),
    kind               TEXT COLLATE "C" NOT NULL,
    created_at_ms      BIGINT NOT NULL,
    lease_until_ms     BIGINT NOT NULL DEFAULT 0,
    attempts           BIGINT NOT NULL DEFAULT 0,
    -- Since when it waits for a person and is not delivered any more (CO-26).
    attention_since_ms BIGINT
);

CREATE INDEX outbox_by_lease ON outbox (lease_until_ms, created_at_ms) WHERE attention_since_ms IS NULL;
CREATE INDEX outbox_by_age ON outbox (created_at_ms) WHERE attention_since_ms IS NULL;
CREATE INDEX outbox_attention ON outbox (attention_since_ms) WHERE attention_since_ms IS NOT NULL;

-- The last tries of each checkout that came to nothing definite (CO-21).
CREATE TABLE attempts (
    operation TEXT COLLATE "C" NOT NULL REFERENCES operations (id),
    number    BIGINT NOT NULL,
    at_ms     BIGINT NOT NULL,
    reason    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (operation, number)
);

-- Differences between the provider's ledger and ours. A closed one stays, so that finding it again adds nothing.
CREATE TABLE findings (
    id           TEXT COLLATE "C" PRIMARY KEY,
    operation    TEXT COLLATE "C",
    reason       TEXT COLLATE "C" NOT NULL,
    amount       TEXT COLLATE "C",
    since_ms     BIGINT NOT NULL,
    closed_at_ms BIGINT
);

CREATE INDEX findings_open ON findings (since_ms) WHERE closed_at_ms IS NULL;

-- What people decided (CO-22), and the exactly-once ledger of it: written in the transaction of the effect.
CREATE TABLE actions (
    request_id  TEXT COLLATE "C" PRIMARY KEY,
    fingerprint BYTEA NOT NULL,
    item        TEXT COLLATE "C" NOT NULL,
    at_ms       BIGINT NOT NULL,
    action      TEXT COLLATE "C" NOT NULL,
    operator    TEXT COLLATE "C" NOT NULL,
    note        TEXT COLLATE "C" NOT NULL,
    answer      TEXT COLLATE "C" NOT NULL
);

CREATE INDEX actions_by_item ON actions (item, at_ms);
