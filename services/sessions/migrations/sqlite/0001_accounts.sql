-- One row per account; never changed after it was made.
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,                 -- UUIDv7, minted by the caller
    email TEXT NOT NULL UNIQUE,          -- lower case, checked at the edge
    password_hash TEXT NOT NULL,         -- PHC string: algorithm, parameters, salt, hash
    request_hash BLOB NOT NULL UNIQUE,   -- SHA-256 of the request id, so that a repeat finds its own account
    registered_at_ms INTEGER NOT NULL    -- Unix milliseconds by the database's clock
) STRICT;
