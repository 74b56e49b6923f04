-- One row per checkout that asked for money, or was closed so that none is taken. The row is itself the ledger of the
-- exactly-once call: its state only ever leaves 'intended', by compare-and-set. Rows stay for ever: a forgotten one
-- would be a second charge.

CREATE TABLE charges (
    operation     TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- also the provider's key and permanent reference (CO-4)
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('intended', 'charged', 'declined', 'closed')),
    amount_minor  BIGINT CHECK (amount_minor > 0),
    currency      TEXT COLLATE "C",
    token_hash    BYTEA, -- SHA-256 of operation and token; the token itself is never kept
    not_after_ms  BIGINT, -- by the provider's clock, nothing is executed first after this
    attempts      BIGINT NOT NULL, -- sends that were begun
    -- Of those, the ones not proved to have stayed here.
    maybe_sent    BIGINT NOT NULL CHECK (maybe_sent BETWEEN 0 AND attempts),
    provider_id   TEXT COLLATE "C",
    decline_code  TEXT COLLATE "C",
    -- Who decided it by evidence and why, if not the provider's own answer did.
    operator      TEXT COLLATE "C",
    note          TEXT COLLATE "C",
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    -- A row without an intent can only be the mark that closes a checkout which never came here.
    CHECK (state = 'closed' OR (amount_minor IS NOT NULL AND currency IS NOT NULL AND token_hash IS NOT NULL
        AND not_after_ms IS NOT NULL)),
    CHECK ((state = 'charged') = (provider_id IS NOT NULL)),
    CHECK ((state = 'declined') = (decline_code IS NOT NULL)),
    CHECK ((operator IS NULL) = (note IS NULL))
);

-- One row per checkout whose money goes back. Its own ledger too; the provider's key is 'refund-' and the operation.
CREATE TABLE refunds (
    operation     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('intended', 'refunded', 'refused')),
    amount_minor  BIGINT NOT NULL CHECK (amount_minor > 0),
    currency      TEXT COLLATE "C" NOT NULL,
    attempts      BIGINT NOT NULL,
    refund_id     TEXT COLLATE "C",
    refuse_code   TEXT COLLATE "C",
    operator      TEXT COLLATE "C" NOT NULL,
    note          TEXT COLLATE "C" NOT NULL,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    CHECK ((state = 'refunded') = (refund_id IS NOT NULL)),
    CHECK ((state = 'refused') = (refuse_code IS NOT NULL))
);

-- The calls that the provider allows the cluster, in shares that nodes lease.
CREATE TABLE permit_shares (
    share          BIGINT NOT NULL PRIMARY KEY, -- from 1
    size           BIGINT NOT NULL CHECK (size > 0), -- permits in it
    holder         TEXT COLLATE "C", -- one life of one node; none if it was given back
    lease_until_ms BIGINT NOT NULL,
    free_at_ms     BIGINT NOT NULL, -- end of the lease and of everything the provider may still do for its holder
    CHECK (free_at_ms >= lease_until_ms)
);

-- One row, locked by whoever leases shares: so that all of them take turns, also when the shares are laid out.
CREATE TABLE permit_turn (
    turn BIGINT NOT NULL PRIMARY KEY CHECK (turn = 1)
);
INSERT INTO permit_turn (turn) VALUES (1);

-- The nodes that lease shares, and how many each wants: so that none takes all while another waits.
CREATE TABLE permit_nodes (
    holder     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    round      BIGINT NOT NULL, -- of its last request: one that arrives late is told from a new one
    wants      BIGINT NOT NULL,
    seen_at_ms BIGINT NOT NULL
);
