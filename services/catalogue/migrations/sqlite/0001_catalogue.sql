-- Products with their stock, and the reservations of checkouts.

CREATE TABLE products (
    sku         TEXT    NOT NULL PRIMARY KEY,
    position    INTEGER NOT NULL UNIQUE,          -- the shop's order; a list's cursor is the last position shown
    title       TEXT    NOT NULL,
    creator     TEXT    NOT NULL,
    category    TEXT    NOT NULL,
    description TEXT    NOT NULL,
    price_minor INTEGER NOT NULL CHECK (price_minor > 0),
    stocked     INTEGER NOT NULL,                 -- pieces that were ever put on the shelf
    available   INTEGER NOT NULL CHECK (available >= 0),
    reserved    INTEGER NOT NULL CHECK (reserved >= 0),
    sold        INTEGER NOT NULL CHECK (sold >= 0),
    -- CO-12: no piece is made or lost, at any commit. The database refuses what the code gets wrong.
    CHECK (available + reserved + sold = stocked)
) STRICT;

-- One row per checkout that reserved or ended; 'released' without lines keeps a late reservation out. Rows stay: a
-- repeat may come long after the end, and a forgotten one would reserve again.
CREATE TABLE reservations (
    operation     TEXT    NOT NULL PRIMARY KEY,
    state         TEXT    NOT NULL CHECK (state IN ('reserved', 'released', 'settled')),
    changed_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE reservation_lines (
    operation TEXT    NOT NULL REFERENCES reservations (operation),
    sku       TEXT    NOT NULL REFERENCES products (sku),
    quantity  INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (operation, sku)
) STRICT, WITHOUT ROWID;

-- Answers of exactly-once calls, written in the transaction of their effect.
CREATE TABLE ledger (
    request_id    TEXT    NOT NULL PRIMARY KEY,
    fingerprint   BLOB    NOT NULL,
    answer        TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
