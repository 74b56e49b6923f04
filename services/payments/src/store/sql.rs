//! Charges in one SQLite file.

use std::path::Path;

use async_trait::async_trait;
use contract::{Currency, Once, OperationId, payments::CloseRefusal};
use sqlx::{SqliteConnection, SqliteExecutor, migrate::Migrator};
use store::{Sqlite, StoreError};

use super::{Begin, ChargeStore, Decision, Intent, Standing};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Charges in one SQLite file. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteCharges(Sqlite);

impl SqliteCharges {
    /// Opens the file; makes it and its tables if need be.
    ///
    /// # Errors
    /// When the file cannot be opened or migrated; the message names it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Sqlite::open(path, &MIGRATIONS).await.map(Self)
    }
}

#[async_trait]
impl ChargeStore for SqliteCharges {
    async fn look(&self, intent: &Intent) -> Result<Standing, StoreError> {
        Ok(read(self.0.reader(), intent.operation).await?.map_or(Ok(Standing::Open), |row| row.standing(intent))?)
    }

    async fn begin(&self, _: &Once, intent: &Intent) -> Result<Begin, StoreError> {
        let mut tx = self.0.begin().await?;
        if let Some(row) = read(&mut *tx, intent.operation).await? {
            let standing = row.standing(intent)?;
            if standing != Standing::Open {
                return Ok(Begin::Stands(standing));
            }
        }
        if now_ms(&mut tx).await? > intent.not_after_ms {
            return Ok(Begin::WindowOver);
        }
        let begin = "INSERT INTO charges (operation, state, amount_minor, currency, token_hash, not_after_ms, attempts, \
                     maybe_sent, created_at_ms, changed_at_ms) \
                     VALUES ($1, 'intended', $2, $3, $4, $5, 1, 1, CAST(unixepoch('subsec') * 1000 AS INTEGER), \
                     CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
                     ON CONFLICT (operation) DO UPDATE SET attempts = attempts + 1, maybe_sent = maybe_sent + 1, \
                     changed_at_ms = excluded.changed_at_ms WHERE state = 'intended'";
        let done = bind_intent(sqlx::query(begin), intent).execute(&mut *tx).await?;
        one_row(done.rows_affected(), intent.operation)?;
        Sqlite::commit(tx).await?;
        Ok(Begin::Send)
    }

    async fn not_sent(&self, _: &Once, operation: OperationId) -> Result<(), StoreError> {
        let mut tx = self.0.begin().await?;
        sqlx::query("UPDATE charges SET maybe_sent = maybe_sent - 1 WHERE operation = $1 AND state = 'intended'")
            .bind(operation.to_string())
            .execute(&mut *tx)
            .await?;
        Sqlite::commit(tx).await
    }

    async fn reject(&self, _: &Once, intent: &Intent, code: &str) -> Result<Standing, StoreError> {
        let reject = "UPDATE charges SET \
                      state = CASE maybe_sent WHEN 1 THEN 'declined' ELSE state END, \
                      decline_code = CASE maybe_sent WHEN 1 THEN $2 END, \
                      maybe_sent = maybe_sent - 1, changed_at_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) \
                      WHERE operation = $1 AND state = 'intended'";
        let mut tx = self.0.begin().await?;
        sqlx::query(reject).bind(intent.operation.to_string()).bind(code).execute(&mut *tx).await?;
        let row = read(&mut *tx, intent.operation).await?;
        Sqlite::commit(tx).await?;
        row.map_or(Ok(Standing::Open), |row| row.standing(intent))
    }

    async fn decide(&self, _: &Once, intent: &Intent, decision: &Decision) -> Result<Standing, StoreError> {
        let (state, provider_id, code) = match decision {
            Decision::Charged { provider_id } => ("charged", Some(provider_id), None),
            Decision::Declined { code } => ("declined", None, Some(code)),
        };
        // Inserts where there is no intent, which only a look-up can meet: a database that was restored from a copy.
        let decide = "INSERT INTO charges (operation, amount_minor, currency, token_hash, not_after_ms, state, \
                      provider_id, decline_code, attempts, maybe_sent, created_at_ms, changed_at_ms) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, CAST(unixepoch('subsec') * 1000 AS INTEGER), \
                      CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
                      ON CONFLICT (operation) DO UPDATE SET state = excluded.state, provider_id = excluded.provider_id, \
                      decline_code = excluded.decline_code, changed_at_ms = excluded.changed_at_ms \
                      WHERE charges.state = 'intended'";
        let mut tx = self.0.begin().await?;
        let query = bind_intent(sqlx::query(decide), intent).bind(state).bind(provider_id).bind(code);
        if query.execute(&mut *tx).await?.rows_affected() == 1 {
            Sqlite::commit(tx).await?;
            return Ok(Standing::Decided(decision.clone()));
        }
        match read(&mut *tx, intent.operation).await? {
            Some(row) => row.standing(intent),
            None => Err(StoreError::Corrupt(format!("charge {}: neither written nor there", intent.operation))),
        }
    }

    async fn close(&self, operation: OperationId) -> Result<Result<(), CloseRefusal>, StoreError> {
        let mut tx = self.0.begin().await?;
        if let Some(row) = read(&mut *tx, operation).await? {
            match row.state.as_str() {
                "closed" | "declined" => return Ok(Ok(())),
                "charged" => return Ok(Err(CloseRefusal::Charged)),
                _ if row.maybe_sent > 0 || now_ms(&mut tx).await? <= row.not_after_ms.unwrap_or(i64::MAX) => {
                    return Ok(Err(CloseRefusal::MayStillHappen));
                }
                _ => {}
            }
        }
        let close = "INSERT INTO charges (operation, state, attempts, maybe_sent, created_at_ms, changed_at_ms) \
                     VALUES ($1, 'closed', 0, 0, CAST(unixepoch('subsec') * 1000 AS INTEGER), \
                     CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
                     ON CONFLICT (operation) DO UPDATE SET state = 'closed', changed_at_ms = excluded.changed_at_ms \
                     WHERE charges.state = 'intended' AND charges.maybe_sent = 0";
        let done = sqlx::query(close).bind(operation.to_string()).execute(&mut *tx).await?;
        one_row(done.rows_affected(), operation)?;
        Sqlite::commit(tx).await?;
        Ok(Ok(()))
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    amount_minor: Option<i64>,
    currency: Option<String>,
    token_hash: Option<Vec<u8>>,
    not_after_ms: Option<i64>,
    maybe_sent: i64,
    provider_id: Option<String>,
    decline_code: Option<String>,
}

impl Row {
    fn standing(self, intent: &Intent) -> Result<Standing, StoreError> {
        if self.amount_minor.is_some() && !self.is_of(intent) {
            return Ok(Standing::OtherIntent);
        }
        match (self.state.as_str(), self.provider_id, self.decline_code) {
            ("intended", ..) => Ok(Standing::Open),
            ("closed", ..) => Ok(Standing::Closed),
            ("charged", Some(provider_id), _) => Ok(Standing::Decided(Decision::Charged { provider_id })),
            ("declined", _, Some(code)) => Ok(Standing::Decided(Decision::Declined { code })),
            (state, ..) => Err(StoreError::Corrupt(format!("charge {}: state \"{state}\"", intent.operation))),
        }
    }

    fn is_of(&self, intent: &Intent) -> bool {
        self.amount_minor == Some(intent.amount.amount_minor)
            && self.currency.as_deref() == Some(code_of(intent.amount.currency))
            && self.token_hash.as_deref() == Some(intent.token_hash.as_bytes().as_slice())
            && self.not_after_ms == Some(intent.not_after_ms)
    }
}

async fn read(database: impl SqliteExecutor<'_>, operation: OperationId) -> Result<Option<Row>, StoreError> {
    let select = "SELECT state, amount_minor, currency, token_hash, not_after_ms, maybe_sent, provider_id, decline_code \
                  FROM charges WHERE operation = $1";
    Ok(sqlx::query_as(select).bind(operation.to_string()).fetch_optional(database).await?)
}

async fn now_ms(tx: &mut SqliteConnection) -> Result<i64, StoreError> {
    let (now,) = sqlx::query_as("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)").fetch_one(tx).await?;
    Ok(now)
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind_intent<'q>(query: Query<'q>, intent: &Intent) -> Query<'q> {
    query
        .bind(intent.operation.to_string())
        .bind(intent.amount.amount_minor)
        .bind(code_of(intent.amount.currency))
        .bind(intent.token_hash.as_bytes().to_vec())
        .bind(intent.not_after_ms)
}

const fn code_of(currency: Currency) -> &'static str {
    match currency {
        Currency::Gbp => "GBP",
    }
}

/// The row was read under the write lock, so its condition must hold; if not, nothing is committed.
fn one_row(rows: u64, operation: OperationId) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::NotExecuted(format!("charge {operation} changed under its own lock")))
    }
}
