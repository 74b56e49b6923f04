-- Products with their stock, and the reservations of checkouts.

CREATE TABLE products (
    sku         TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    position    BIGINT NOT NULL UNIQUE,          -- the shop's order; a list's cursor is the last position shown
    title       TEXT COLLATE "C"    NOT NULL,
    creator     TEXT COLLATE "C"    NOT NULL,
    category    TEXT COLLATE "C"    NOT NULL,
    description TEXT COLLATE "C"    NOT NULL,
    price_minor BIGINT NOT NULL CHECK (price_minor > 0),
    stocked     BIGINT NOT NULL,                 -- pieces that were ever put on the shelf
    available   BIGINT NOT NULL CHECK (available >= 0),
    reserved    BIGINT NOT NULL CHECK (reserved >= 0),
    sold        BIGINT NOT NULL CHECK (sold >= 0),
    -- CO-12: no piece is made or lost, at any commit. The database refuses what the code gets wrong.
    CHECK (available + reserved + sold = stocked)
);

-- One row per checkout that reserved or ended; 'released' without lines keeps a late reservation out. Rows stay: a
-- repeat may come long after the end, and a forgotten one would reserve again.
CREATE TABLE reservations (
    operation     TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    state         TEXT COLLATE "C"    NOT NULL CHECK (state IN ('reserved', 'released', 'settled')),
    changed_at_ms BIGINT NOT NULL
);

CREATE TABLE reservation_lines (
    operation TEXT COLLATE "C"    NOT NULL REFERENCES reservations (operation),
    sku       TEXT COLLATE "C"    NOT NULL REFERENCES products (sku),
    quantity  BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (operation, sku)
);

-- Answers of exactly-once calls, written in the transaction of their effect.
CREATE TABLE ledger (
    request_id    TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    fingerprint   BYTEA    NOT NULL,
    answer        TEXT COLLATE "C"    NOT NULL,
    created_at_ms BIGINT NOT NULL
);
