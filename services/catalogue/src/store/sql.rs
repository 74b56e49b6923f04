//! The catalogue in a relational database.
//!
//! On SQLite every change holds the write lock from its start. On PostgreSQL changes run side by side at READ COMMITTED:
//! a reservation's row is locked before it is judged, two first requests for one operation meet in its unique row (and
//! the one that comes second is run again), and stock is taken in order of sku, so that two orders for the same
//! products cannot wait for each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use contract::{
    Money, Once, OperationId, Sku,
    catalogue::{EndRefusal, Product, ReserveRefusal},
};
use runtime::crash;
use store::{
    Database, Link, Migrations, StoreError, StoreUri,
    ledger::{self, Claim},
    sql,
};

use super::{Level, Placed, ProductStore, StockStore};
use crate::NewProduct;

/// The tables, for whoever opens the same database.
pub static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

/// A catalogue in a relational database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqlCatalogue(Database);

impl SqlCatalogue {
    /// Opens the database; makes the tables if need be.
    ///
    /// # Errors
    /// When it cannot be opened or migrated; the message names it.
    pub async fn open(uri: &StoreUri) -> Result<Self, StoreError> {
        Database::open(uri, "catalogue", &MIGRATIONS).await.map(Self)
    }

    async fn release_once(&self, operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError> {
        let put_back = "UPDATE products SET available = available + line.quantity, reserved = reserved - line.quantity \
                        FROM reservation_lines AS line WHERE line.operation = $1 AND line.sku = products.sku";
        let release = "UPDATE reservations SET state = 'released', changed_at_ms = now_ms() \
                       WHERE operation = $1 AND state = 'reserved'";
        let mut tx = self.0.begin().await?;
        match state(&mut tx, operation).await?.as_deref() {
            Some("reserved") => {
                tx.execute(sql(put_back).bind(operation.to_string())).await?;
                // Only an open reservation changes its state; the condition is the compare-and-set of CO-3.
                if tx.execute(sql(release).bind(operation.to_string())).await? != 1 {
                    return Err(StoreError::Conflict(format!("reservation {operation} changed meanwhile")));
                }
            }
            Some("released") => return Ok(Ok(())),
            Some(_) => return Ok(Err(EndRefusal::EndedOtherwise)),
            // T-10, in test builds only.
            None if runtime::bug("release-leaves-no-mark") => {}
            // A mark that keeps a late reservation out.
            None => insert_state(&mut tx, operation, "released").await?,
        }
        Database::commit(tx).await?;
        Ok(Ok(()))
    }

    /// All in one transaction. Reservations are locked in the order of their names and then products in theirs, so that two
    /// settlements cannot wait for each other in a circle.
    async fn settle_once(
        &self,
        operations: &BTreeSet<OperationId>,
    ) -> Result<Vec<(OperationId, EndRefusal)>, StoreError> {
        let select =
            "SELECT operation, state FROM reservations WHERE operation = EACH($1) ORDER BY operation FOR UPDATE";
        let lock = "SELECT sku FROM products WHERE sku IN (SELECT sku FROM reservation_lines WHERE operation = EACH($1)) \
                    ORDER BY sku FOR UPDATE";
        let sell = "UPDATE products SET sold = sold + sums.quantity, reserved = reserved - sums.quantity \
                    FROM (SELECT sku, CAST(sum(quantity) AS BIGINT) AS quantity FROM reservation_lines \
                    WHERE operation = EACH($1) GROUP BY sku) AS sums WHERE sums.sku = products.sku";
        let settle = "UPDATE reservations SET state = 'settled', changed_at_ms = now_ms() \
                      WHERE operation = EACH($1) AND state = 'reserved'";
        let mut tx = self.0.begin().await?;
        let states: Vec<(String, String)> = tx.all(sql(select).bind_each(operations)).await?;
        let states: BTreeMap<String, String> = states.into_iter().collect();
        let (mut open, mut refused) = (Vec::new(), Vec::new());
        for operation in operations {
            match states.get(&operation.to_string()).map(String::as_str) {
                Some("reserved") => open.push(*operation),
                Some("settled") => {}
                Some(_) => refused.push((*operation, EndRefusal::EndedOtherwise)),
                None => refused.push((*operation, EndRefusal::NotReserved)),
            }
        }
        if open.is_empty() {
            return Ok(refused);
        }
        let _: Vec<(String,)> = tx.all(sql(lock).bind_each(&open)).await?;
        tx.execute(sql(sell).bind_each(&open)).await?;
        // Only open reservations change their state; the condition is the compare-and-set of CO-3.
        if tx.execute(sql(settle).bind_each(&open)).await? != open.len() as u64 {
            return Err(StoreError::Conflict("a reservation changed meanwhile".to_owned()));
        }
        Database::commit(tx).await?;
        Ok(refused)
    }

    /// Nearly all are the first of their operation, so they do not look whether they are: whoever is not meets the unique
    /// row of the ledger or of the reservation, nothing of it stays, and it is run again with `looks`.
    async fn reserve_once(
        &self,
        once: &Once,
        operation: OperationId,
        lines: &BTreeMap<Sku, u32>,
        looks: bool,
    ) -> Result<Result<(), ReserveRefusal>, StoreError> {
        let mut tx = self.0.begin().await?;
        let claim = if looks { ledger::claim(&mut tx, once).await? } else { Claim::Fresh };
        match claim {
            Claim::Settled(answer) => return Ok(answer),
            Claim::OtherBody => return Ok(Err(ReserveRefusal::IdReused)),
            Claim::Fresh => {}
        }
        let state = if looks { state(&mut tx, operation).await? } else { None };
        let answer = match state {
            None => take_lines(&mut tx, operation, lines).await?,
            Some(state) if state == "reserved" => Err(ReserveRefusal::IdReused),
            Some(_) => Err(ReserveRefusal::Ended),
        };
        ledger::settle(&mut tx, once, &answer).await?;
        Database::commit(tx).await?;
        Ok(answer)
    }

    async fn put_missing_once(&self, products: &[NewProduct]) -> Result<usize, StoreError> {
        let insert = "INSERT INTO products (sku, position, title, creator, category, description, price_minor, stocked, \
                      available, reserved, sold) \
                      SELECT $1, coalesce((SELECT max(position) FROM products), 0) + 1, $2, $3, $4, $5, $6, $7, $7, 0, 0 \
                      WHERE true ON CONFLICT (sku) DO NOTHING";
        let mut tx = self.0.begin().await?;
        let mut added = 0;
        for product in products {
            let insert = sql(insert)
                .bind(product.sku.as_str())
                .bind(&product.title)
                .bind(&product.creator)
                .bind(&product.category)
                .bind(&product.description)
                .bind(product.price_minor)
                .bind(product.stock);
            added += usize::from(tx.execute(insert).await? == 1);
        }
        Database::commit(tx).await?;
        Ok(added)
    }
}

#[async_trait]
impl ProductStore for SqlCatalogue {
    async fn put_missing(&self, products: &[NewProduct]) -> Result<usize, StoreError> {
        // Nodes that start together put the same products: they meet in the unique sku and position.
        self.0.retrying(|| self.put_missing_once(products)).await
    }

    async fn all(&self) -> Result<Vec<Placed>, StoreError> {
        let select = "SELECT position, sku, title, creator, category, description, price_minor, available \
                      FROM products ORDER BY position";
        let rows: Vec<(i64, String, String, String, String, String, i64, i64)> =
            self.0.reader().await?.all(sql(select)).await?;
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
impl StockStore for SqlCatalogue {
    async fn reserve(
        &self,
        once: &Once,
        operation: OperationId,
        lines: &BTreeMap<Sku, u32>,
    ) -> Result<Result<(), ReserveRefusal>, StoreError> {
        let met = AtomicBool::new(false);
        let reserve = || self.reserve_once(once, operation, lines, met.swap(true, Ordering::Relaxed));
        let reserved = self.0.retrying(reserve).await?;
        crash::point("catalogue.reserve.committed");
        Ok(reserved)
    }

    async fn release(&self, operation: OperationId) -> Result<Result<(), EndRefusal>, StoreError> {
        let ended = self.0.retrying(|| self.release_once(operation)).await?;
        crash::point("catalogue.release.committed");
        Ok(ended)
    }

    async fn settle(&self, operations: &BTreeSet<OperationId>) -> Result<Vec<(OperationId, EndRefusal)>, StoreError> {
        let refused = self.0.retrying(|| self.settle_once(operations)).await?;
        crash::point("catalogue.settle.committed");
        Ok(refused)
    }

    async fn levels(&self) -> Result<Vec<Level>, StoreError> {
        let select = "SELECT sku, stocked, available, reserved, sold FROM products ORDER BY sku";
        let rows: Vec<(String, i64, i64, i64, i64)> = self.0.reader().await?.all(sql(select)).await?;
        rows.into_iter()
            .map(|(sku, stocked, available, reserved, sold)| {
                Ok(Level { sku: sku_of(sku)?, stocked, available, reserved, sold })
            })
            .collect()
    }
}

/// All lines or none: a savepoint takes back what was taken before the line that cannot be had, and leaves the outer
/// transaction to remember the refusal. One line is all or none by itself.
async fn take_lines(
    tx: &mut Link,
    operation: OperationId,
    lines: &BTreeMap<Sku, u32>,
) -> Result<Result<(), ReserveRefusal>, StoreError> {
    let take = "UPDATE products SET available = available - $2, reserved = reserved + $2 \
                WHERE sku = $1 AND available >= $2";
    let insert = "INSERT INTO reservation_lines (operation, sku, quantity) VALUES ($1, $2, $3)";
    let several = lines.len() > 1;
    if several {
        tx.execute(sql("SAVEPOINT lines")).await?;
    }
    for (sku, quantity) in lines {
        if tx.execute(sql(take).bind(sku.as_str()).bind(*quantity)).await? != 1 {
            if several {
                tx.execute(sql("ROLLBACK TO SAVEPOINT lines")).await?;
            }
            let available = available(tx, sku).await?;
            return Ok(Err(ReserveRefusal::OutOfStock { sku: sku.clone(), available }));
        }
    }
    insert_state(tx, operation, "reserved").await?;
    for (sku, quantity) in lines {
        tx.execute(sql(insert).bind(operation.to_string()).bind(sku.as_str()).bind(*quantity)).await?;
    }
    Ok(Ok(()))
}

async fn available(tx: &mut Link, sku: &Sku) -> Result<u32, StoreError> {
    let select = sql("SELECT available FROM products WHERE sku = $1").bind(sku.as_str());
    let row: Option<(i64,)> = tx.optional(select).await?;
    Ok(row.map_or(0, |(available,)| pieces(available)))
}

async fn state(tx: &mut Link, operation: OperationId) -> Result<Option<String>, StoreError> {
    let select = sql("SELECT state FROM reservations WHERE operation = $1 FOR UPDATE").bind(operation.to_string());
    let row: Option<(String,)> = tx.optional(select).await?;
    Ok(row.map(|(state,)| state))
}

/// The unique row decides between two that come first.
async fn insert_state(tx: &mut Link, operation: OperationId, to: &'static str) -> Result<(), StoreError> {
    let insert = "INSERT INTO reservations (operation, state, changed_at_ms) VALUES ($1, $2, now_ms())";
    tx.execute(sql(insert).bind(operation.to_string()).bind(to)).await?;
    Ok(())
}

fn sku_of(text: String) -> Result<Sku, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("products.sku \"{text}\": {error}")))
}

fn pieces(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}
