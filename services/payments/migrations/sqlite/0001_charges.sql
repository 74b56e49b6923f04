-- One row per checkout that asked for money, or was closed so that none is taken. The row is itself the ledger of the
-- exactly-once call: its state only ever leaves 'intended', by compare-and-set. Rows stay for ever: a forgotten one
-- would be a second charge.

CREATE TABLE charges (
    operation     TEXT NOT NULL PRIMARY KEY, -- also the provider's key and permanent reference (CO-4)
    state         TEXT NOT NULL CHECK (state IN ('intended', 'charged', 'declined', 'closed')),
    amount_minor  INTEGER CHECK (amount_minor > 0),
    currency      TEXT,
    token_hash    BLOB, -- SHA-256 of operation and token; the token itself is never kept
    not_after_ms  INTEGER, -- by the provider's clock, nothing is executed first after this
    attempts      INTEGER NOT NULL, -- sends that were begun
    -- Of those, the ones not proved to have stayed here.
    maybe_sent    INTEGER NOT NULL CHECK (maybe_sent BETWEEN 0 AND attempts),
    provider_id   TEXT,
    decline_code  TEXT,
    -- Who decided it by evidence and why, if not the provider's own answer did.
    operator      TEXT,
    note          TEXT,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    -- A row without an intent can only be the mark that closes a checkout which never came here.
    CHECK (state = 'closed' OR (amount_minor IS NOT NULL AND currency IS NOT NULL AND token_hash IS NOT NULL
        AND not_after_ms IS NOT NULL)),
    CHECK ((state = 'charged') = (provider_id IS NOT NULL)),
    CHECK ((state = 'declined') = (decline_code IS NOT NULL)),
    CHECK ((operator IS NULL) = (note IS NULL))
) STRICT;

-- One row per checkout whose money goes back. Its own ledger too; the provider's key is 'refund-' and the operation.
CREATE TABLE refunds (
    operation     TEXT NOT NULL PRIMARY KEY,
    state         TEXT NOT NULL CHECK (state IN ('intended', 'refunded', 'refused')),
    amount_minor  INTEGER NOT NULL CHECK (amount_minor > 0),
    currency      TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    refund_id     TEXT,
    refuse_code   TEXT,
    operator      TEXT NOT NULL,
    note          TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    CHECK ((state = 'refunded') = (refund_id IS NOT NULL)),
    CHECK ((state = 'refused') = (refuse_code IS NOT NULL))
) STRICT;

-- The calls that the provider allows the cluster, in shares that nodes lease.
CREATE TABLE permit_shares (
    share          INTEGER NOT NULL PRIMARY KEY, -- from 1
    size           INTEGER NOT NULL CHECK (size > 0), -- permits in it
    holder         TEXT, -- one life of one node; none if it was given back
    lease_until_ms INTEGER NOT NULL,
    free_at_ms     INTEGER NOT NULL, -- end of the lease and of everything the provider may still do for its holder
    CHECK (free_at_ms >= lease_until_ms)
) STRICT;

-- One row, locked by whoever leases shares: so that all of them take turns, also when the shares are laid out.
CREATE TABLE permit_turn (
    turn INTEGER NOT NULL PRIMARY KEY CHECK (turn = 1)
) STRICT;
INSERT INTO permit_turn (turn) VALUES (1);

-- The nodes that lease shares, and how many each wants: so that none takes all while another waits.
CREATE TABLE permit_nodes (
    holder     TEXT NOT NULL PRIMARY KEY,
    round      INTEGER NOT NULL, -- of its last request: one that arrives late is told from a new one
    wants      INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
) STRICT;
