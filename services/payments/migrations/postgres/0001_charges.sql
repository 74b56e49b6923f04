-- One row per checkout that asked for money, or was closed so that none is taken. The row is itself the ledger of the
-- exactly-once call: its state only ever leaves 'intended', by compare-and-set. Rows stay for ever: a forgotten one
-- would be a second charge.

CREATE TABLE charges (
    operation     TEXT COLLATE "C"    NOT NULL PRIMARY KEY,   -- also the provider's key and permanent reference (CO-4)
    state         TEXT COLLATE "C"    NOT NULL CHECK (state IN ('intended', 'charged', 'declined', 'closed')),
    amount_minor  BIGINT CHECK (amount_minor > 0),
    currency      TEXT COLLATE "C",
    token_hash    BYTEA,                           -- SHA-256 of operation and token; the token itself is never kept
    not_after_ms  BIGINT,                        -- by the provider's clock, nothing is executed first after this
    attempts      BIGINT NOT NULL,               -- sends that were begun
    maybe_sent    BIGINT NOT NULL CHECK (maybe_sent BETWEEN 0 AND attempts),
                                                  -- of those, the ones not proved to have stayed here
    provider_id   TEXT COLLATE "C",
    decline_code  TEXT COLLATE "C",
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    -- A row without an intent can only be the mark that closes a checkout which never came here.
    CHECK (state = 'closed' OR (amount_minor IS NOT NULL AND currency IS NOT NULL AND token_hash IS NOT NULL
        AND not_after_ms IS NOT NULL)),
    CHECK ((state = 'charged') = (provider_id IS NOT NULL)),
    CHECK ((state = 'declined') = (decline_code IS NOT NULL))
);
