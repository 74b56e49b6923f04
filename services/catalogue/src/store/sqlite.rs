//! The catalogue in one SQLite file.
//!
//! Every change holds the write lock from its start (`Sqlite::begin`), so changes come one after another, whichever
//! node they come from. The conditions in the statements do not rely on that: they would also hold under READ COMMITTED.

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use contract::{
    Money, Once, OperationId, Sku,
    catalogue::{EndRefusal, Product, ReserveRefusal},
};
use sqlx::{Connection as _, SqliteConnection, migrate::Migrator};
use store::{
    Sqlite, StoreError,
    ledger::{self, Claim},
};

use super::{Level, Placed, ProductStore, StockStore};
use crate::NewProduct;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// A catalogue in one SQLite file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteCatalogue(Sqlite);

impl SqliteCatalogue {
    /// Opens the file; makes it and its tables if need be.
    ///
    /// # Errors
    /// When the file cannot be opened or migrated; the message names it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Sqlite::open(path, &MIGRATIONS).await.map(Self)
    }

    /// Ends a reservation: `reserved` becomes `to`, and `move_pieces` says where its pieces go.
    async fn end(
        &self,
        operation: OperationId,
        to: &'static str,
        move_pieces: &'static str,
    ) -> Result<Result<(), EndRefusal>, StoreError> {
        let mut tx = self.0.begin().await?;
        match state(&mut tx, operation).await?.as_deref() {
            Some("reserved") => {
                sqlx::query(move_pieces).bind(operation.to_string()).execute(&mut *tx).await?;
                set_state(&mut tx, operation, to).await?;
            }
            Some(ended) if ended == to => return Ok(Ok(())),
            Some(_) => return Ok(Err(EndRefusal::EndedOtherwise)),
            None if to == "released" => set_state(&mut tx, operation, to).await?,
            None => return Ok(Err(EndRefusal::NotReserved)),
        }
        Sqlite::commit(tx).await?;
        Ok(Ok(()))
    }
}

#[async_trait]
impl ProductStore for SqliteCatalogue {
    async fn put_missing(&self, products: &[NewProduct]) -> Result<usize, StoreError> {
        let insert = "INSERT INTO products (sku, position, title, creator, category, description, price_minor, stocked, \
                      available, reserved, sold) \
                      SELECT $1, coalesce((SELECT max(position) FROM products), 0) + 1, $2, $3, $4, $5, $6, $7, $7, 0, 0 \
                      WHERE true ON CONFLICT (sku) DO NOTHING";
        let mut tx = self.0.begin().await?;
        let mut added = 0;
        for product in products {
            let done = sqlx::query(insert)
                .bind(product.sku.as_str())
                .bind(&product.title)
                .bind(&product.creator)
                .bind(&product.category)
                .bind(&product.description)
                .bind(product.price_minor)
                .bind(product.stock)
                .execute(&mut *tx)
                .await?;
            added += usize::from(done.rows_affected() == 1);
        }
        Sqlite::commit(tx).await?;
        Ok(added)
    }

    async fn all(&self) -> Result<Vec<Placed>, StoreError> {
        let select = "SELECT position, sku, title, creator, category, description, price_minor, available \
                      FROM products ORDER BY position";
        let rows: Vec<(i64, String, String, String, String, String, i64, i64)> =
            sqlx::query_as(select).fetch_all(self.0.reader()).await?;
        rows.into_iter()
            .map(|(position, sku, title, creator, category, description, price_minor, available)| {
                let sku = sku_of(sku)?;
                let (price, available) = (Money::gbp(price_minor), pieces(available));
                let product = Product { sku, title, creator, category, description, price, available };
                Ok(Placed { position, product })
            })
            .collect()
    }
}

#[async_trait]
impl StockStore for SqliteCatalogue {
    async fn reserve(
        &self,
        once: &Once,
        operation: OperationId,
        lines: &BTreeMap<Sku, u32>,
    ) -> Result<Result<(), ReserveRefusal>, StoreError> {
        let mut tx = self.0.begin().await?;
        match ledger::claim(&mut tx, once).await? {
            Claim::Settled(answer) => return Ok(answer),
            Claim::OtherBody => return Ok(Err(ReserveRefusal::IdReused)),
            Claim::Fresh => {}
        }
        let answer = match state(&mut tx, operation).await? {
            None => take_lines(&mut tx, operation, lines).await?,
            Some(state) if state == "reserved" => Err(ReserveRefusal::IdReused),
            Some(_) => Err(ReserveRefusal::Ended),
        };
        ledger::settle(&mut tx, once, &answer).await?;
        Sqlite::commit(tx).await?;
        Ok(answer)
    }

    async fn release(&self, operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError> {
        let put_back = "UPDATE products SET available = available + line.quantity, reserved = reserved - line.quantity \
                        FROM reservation_lines AS line WHERE line.operation = $1 AND line.sku = products.sku";
        self.end(operation, "released", put_back).await
    }

    async fn settle(&self, operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError> {
        let sell = "UPDATE products SET sold = sold + line.quantity, reserved = reserved - line.quantity \
                    FROM reservation_lines AS line WHERE line.operation = $1 AND line.sku = products.sku";
        self.end(operation, "settled", sell).await
    }

    async fn levels(&self) -> Result<Vec<Level>, StoreError> {
        let select = "SELECT sku, stocked, available, reserved, sold FROM products ORDER BY sku";
        let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(select).fetch_all(self.0.reader()).await?;
        rows.into_iter()
            .map(|(sku, stocked, available, reserved, sold)| {
                Ok(Level { sku: sku_of(sku)?, stocked, available, reserved, sold })
            })
            .collect()
    }
}

/// All lines or none: a savepoint takes back what was taken before the line that cannot be had, and leaves the outer
/// transaction to remember the refusal.
async fn take_lines(
    tx: &mut SqliteConnection,
    operation: OperationId,
    lines: &BTreeMap<Sku, u32>,
) -> Result<Result<(), ReserveRefusal>, StoreError> {
    let take = "UPDATE products SET available = available - $2, reserved = reserved + $2 \
                WHERE sku = $1 AND available >= $2";
    let insert = "INSERT INTO reservation_lines (operation, sku, quantity) VALUES ($1, $2, $3)";
    let mut all = tx.begin().await?;
    set_state(&mut all, operation, "reserved").await?;
    for (sku, quantity) in lines {
        let taken = sqlx::query(take).bind(sku.as_str()).bind(quantity).execute(&mut *all).await?;
        if taken.rows_affected() != 1 {
            all.rollback().await?;
            let available = available(tx, sku).await?;
            return Ok(Err(ReserveRefusal::OutOfStock { sku: sku.clone(), available }));
        }
        sqlx::query(insert).bind(operation.to_string()).bind(sku.as_str()).bind(quantity).execute(&mut *all).await?;
    }
    all.commit().await?;
    Ok(Ok(()))
}

async fn available(tx: &mut SqliteConnection, sku: &Sku) -> Result<u32, StoreError> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT available FROM products WHERE sku = $1").bind(sku.as_str()).fetch_optional(tx).await?;
    Ok(row.map_or(0, |(available,)| pieces(available)))
}

async fn state(tx: &mut SqliteConnection, operation: OperationId) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT state FROM reservations WHERE operation = $1")
        .bind(operation.to_string())
        .fetch_optional(tx)
        .await?;
    Ok(row.map(|(state,)| state))
}

/// Only an open reservation changes its state; the condition is the compare-and-set of CO-3.
async fn set_state(tx: &mut SqliteConnection, operation: OperationId, to: &'static str) -> Result<(), StoreError> {
    let set = "INSERT INTO reservations (operation, state, changed_at_ms) \
               VALUES ($1, $2, CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
               ON CONFLICT (operation) DO UPDATE SET state = excluded.state, changed_at_ms = excluded.changed_at_ms \
               WHERE reservations.state = 'reserved'";
    let done = sqlx::query(set).bind(operation.to_string()).bind(to).execute(tx).await?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::NotExecuted(format!("reservation {operation} changed under its own lock")))
    }
}

fn sku_of(text: String) -> Result<Sku, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("products.sku \"{text}\": {error}")))
}

fn pieces(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}
