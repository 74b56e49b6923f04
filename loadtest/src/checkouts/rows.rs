//! What both sides left in the tables. Their names are an interface that the shop keeps for outside checkers.

use anyhow::{Context, ensure};
use reqwest::Url;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};

/// Pieces of each product, so that no slice runs out of stock.
pub(super) const STOCK: i64 = 10_000_000;

/// A database with the shop's tables.
#[derive(Debug)]
pub(super) struct Rows(PgPool);

/// Rows that a checkout leaves, one of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) completed: u64,
    pub(super) charged: u64,
    /// Also those whose event still waits: `pgbench` settles in batches, and ends when its time is up.
    pub(super) settled: u64,
}

impl Counts {
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            completed: self.completed - before.completed,
            charged: self.charged - before.charged,
            settled: self.settled - before.settled,
        }
    }
}

/// What one checkout of the shop wrote: `pgbench` writes the same number of bytes.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) snapshot: String,
    pub(super) answer: String,
    /// The events `clear_cart` and `send_receipt`.
    pub(super) clear: String,
    pub(super) receipt: String,
}

impl Rows {
    pub(super) async fn open(database: &Url) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(2).connect(database.as_str()).await;
        Ok(Self(pool.context("--database: no connection")?))
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }

    /// Runs a statement made of constants and checked names.
    pub(super) async fn execute(&self, text: String) -> anyhow::Result<()> {
        sqlx::query(AssertSqlSafe(text)).execute(&self.0).await?;
        Ok(())
    }

    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        let select = "SELECT (SELECT count(*) FROM orders.operations WHERE state = 'completed'), \
                      (SELECT count(*) FROM payments.charges WHERE state = 'charged'), \
                      (SELECT count(*) FROM catalogue.reservations WHERE state = 'settled') \
                      + (SELECT count(*) FROM orders.outbox WHERE kind = '\"settle_stock\"')";
        let counts: (i64, i64, i64) = sqlx::query_as(select).fetch_one(&self.0).await.context("the shop's tables")?;
        let [completed, charged, settled] = [counts.0, counts.1, counts.2].map(i64::unsigned_abs);
        Ok(Counts { completed, charged, settled })
    }

    /// Events that are still to be delivered.
    pub(super) async fn events(&self) -> anyhow::Result<u64> {
        let (events,): (i64,) = sqlx::query_as("SELECT count(*) FROM orders.outbox").fetch_one(&self.0).await?;
        Ok(events.unsigned_abs())
    }

    pub(super) async fn restock(&self) -> anyhow::Result<()> {
        let restock = format!(
            "UPDATE catalogue.products SET stocked = stocked + {STOCK} - available, available = {STOCK} WHERE available < {STOCK}"
        );
        self.execute(restock).await.context("stock cannot be put on the shelf")
    }

    /// The newest completed checkout.
    pub(super) async fn sample(&self) -> anyhow::Result<Sample> {
        let select = "SELECT principal, snapshot, answer FROM orders.operations WHERE state = 'completed' \
                      AND answer IS NOT NULL ORDER BY id DESC LIMIT 1";
        let (principal, snapshot, answer): (String, String, String) =
            sqlx::query_as(select).fetch_one(&self.0).await.context("the shop completed no checkout")?;
        let frozen: Value = serde_json::from_str(&snapshot).context("the snapshot of a checkout")?;
        let answered: Value = serde_json::from_str(&answer).context("the answer of a checkout")?;
        let order = &answered["completed"];
        ensure!(order.is_object(), "the answer of a completed checkout names no order: {answer}");
        let clear = json!({"clear_cart": {"cart": frozen["cart"], "epoch": frozen["epoch"], "ops": frozen["ops"]}});
        let receipt = json!({"send_receipt": {"principal": principal, "order": order}});
        Ok(Sample { snapshot, answer, clear: clear.to_string(), receipt: receipt.to_string() })
    }
}
