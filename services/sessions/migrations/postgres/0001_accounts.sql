-- One row per account; never changed after it was made.
CREATE TABLE accounts (
    id TEXT COLLATE "C" PRIMARY KEY,                 -- UUIDv7, minted by the caller
    email TEXT COLLATE "C" NOT NULL UNIQUE,          -- lower case, checked at the edge
    password_hash TEXT COLLATE "C" NOT NULL,         -- PHC string: algorithm, parameters, salt, hash
    request_hash BYTEA NOT NULL UNIQUE,   -- SHA-256 of the request id, so that a repeat finds its own account
    registered_at_ms BIGINT NOT NULL    -- Unix milliseconds by the database's clock
);
