-- One row per checkout that asked for money, or was closed so that none is taken. The row is itself the ledger of the
-- exactly-once call: its state only ever leaves 'intended', by compare-and-set. Rows stay for ever: a forgotten one
-- would be a second charge.

CREATE TABLE charges (
    operation     TEXT    NOT NULL PRIMARY KEY,   -- also the provider's key and permanent reference (CO-4)
    state         TEXT    NOT NULL CHECK (state IN ('intended', 'charged', 'declined', 'closed')),
    amount_minor  INTEGER CHECK (amount_minor > 0),
    currency      TEXT,
    token_hash    BLOB,                           -- SHA-256 of operation and token; the token itself is never kept
    not_after_ms  INTEGER,                        -- by the provider's clock, nothing is executed first after this
    attempts      INTEGER NOT NULL,               -- sends that were begun
    maybe_sent    INTEGER NOT NULL CHECK (maybe_sent BETWEEN 0 AND attempts),
                                                  -- of those, the ones not proved to have stayed here
    provider_id   TEXT,
    decline_code  TEXT,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    -- A row without an intent can only be the mark that closes a checkout which never came here.
    CHECK (state = 'closed' OR (amount_minor IS NOT NULL AND currency IS NOT NULL AND token_hash IS NOT NULL
        AND not_after_ms IS NOT NULL)),
    CHECK ((state = 'charged') = (provider_id IS NOT NULL)),
    CHECK ((state = 'declined') = (decline_code IS NOT NULL))
) STRICT;
