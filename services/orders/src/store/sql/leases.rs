//! Leases: who drives a checkout. For liveness only; a late driver's writes are stopped by the compare-and-set.
//!
//! A checkout in needs-attention is still driven, slowly, while the provider's window is open: a long outage of the
//! provider must not leave work for people that the machine can finish when the provider is back (CO-15).

use contract::{
    OperationId,
    orders::{Due, Heartbeat, NotFound, OpenCheckout, OrderState, Postpone, Take, Taken},
};
use sqlx::{AssertSqlSafe, SqliteConnection};
use store::{Sqlite, StoreError, sqlite::NOW_MS};

use super::row::{COLUMNS, Row};
use crate::store::{ATTEMPTS_MAX, LEASE_MS};

const OPEN: &str = "state IN ('accepted', 'needs_attention')";
/// How long after the provider's window a checkout is still looked up at the provider: longer than any request to it
/// can be under way.
const AFTER_WINDOW_MS: i64 = 10 * 60 * 1_000;

pub(super) async fn take(db: &Sqlite, request: Take) -> Result<Result<Taken, NotFound>, StoreError> {
    // Looked at without the write lock first: each waiting repeat asks twenty times a second, and would keep the driver
    // that it waits for from writing.
    let mut reader = db.reader().acquire().await?;
    if let Some(row) = by_id(&mut reader, request.operation).await? {
        if let Some(answer) = row.answer()? {
            return Ok(Ok(Taken::Ended(answer)));
        }
        let others = row.driver.as_ref().is_some_and(|driver| *driver != request.driver.0.to_string());
        if others && row.lease_until_ms > now_ms(&mut reader).await? {
            return Ok(Ok(Taken::Busy { state: row.state()?, driven: true }));
        }
    }
    drop(reader);
    let mut tx = db.begin().await?;
    let lease = format!(
        "UPDATE operations SET driver = $2, lease_until_ms = {NOW_MS} + $3 \
         WHERE id = $1 AND {OPEN} \
         AND (driver = $2 OR (lease_until_ms <= {NOW_MS} AND next_try_at_ms <= {NOW_MS}))"
    );
    let touched = sqlx::query(AssertSqlSafe(lease))
        .bind(request.operation.to_string())
        .bind(request.driver.0.to_string())
        .bind(LEASE_MS)
        .execute(&mut *tx)
        .await?;
    let Some(row) = by_id(&mut tx, request.operation).await? else { return Ok(Err(NotFound::NotFound)) };
    if let Some(answer) = row.answer()? {
        return Ok(Ok(Taken::Ended(answer)));
    }
    if touched.rows_affected() == 0 {
        let driven = row.driver.is_some() && row.lease_until_ms > now_ms(&mut tx).await?;
        return Ok(Ok(Taken::Busy { state: row.state()?, driven }));
    }
    let checkout = row.checkout()?;
    Sqlite::commit(tx).await?;
    Ok(Ok(Taken::Yours(checkout)))
}

pub(super) async fn heartbeat(db: &Sqlite, request: Heartbeat) -> Result<bool, StoreError> {
    let mut tx = db.begin().await?;
    let renew =
        format!("UPDATE operations SET lease_until_ms = {NOW_MS} + $3 WHERE id = $1 AND {OPEN} AND driver = $2");
    let touched = sqlx::query(AssertSqlSafe(renew))
        .bind(request.operation.to_string())
        .bind(request.driver.0.to_string())
        .bind(LEASE_MS)
        .execute(&mut *tx)
        .await?;
    Sqlite::commit(tx).await?;
    Ok(touched.rows_affected() == 1)
}

pub(super) async fn postpone(db: &Sqlite, request: Postpone) -> Result<Result<OrderState, NotFound>, StoreError> {
    let mut tx = db.begin().await?;
    let put_off = format!(
        "UPDATE operations SET driver = NULL, lease_until_ms = 0, attempts = attempts + 1, reason = $3, \
         next_try_at_ms = {NOW_MS} + $4, \
         state = CASE WHEN attempts + 1 >= $5 THEN 'needs_attention' ELSE state END \
         WHERE id = $1 AND {OPEN} AND driver = $2"
    );
    sqlx::query(AssertSqlSafe(put_off))
        .bind(request.operation.to_string())
        .bind(request.driver.0.to_string())
        .bind(request.reason.chars().take(500).collect::<String>())
        .bind(request.delay_ms.clamp(0, 60_000))
        .bind(ATTEMPTS_MAX)
        .execute(&mut *tx)
        .await?;
    let Some(row) = by_id(&mut tx, request.operation).await? else { return Ok(Err(NotFound::NotFound)) };
    let state = row.state()?;
    Sqlite::commit(tx).await?;
    Ok(Ok(state))
}

pub(super) async fn due(db: &Sqlite, request: Due) -> Result<Vec<OpenCheckout>, StoreError> {
    let due = format!(
        "(state = 'accepted' OR (state = 'needs_attention' AND not_after_ms + {AFTER_WINDOW_MS} > {NOW_MS})) \
         AND next_try_at_ms <= {NOW_MS} AND lease_until_ms <= {NOW_MS}"
    );
    // Looked at without the write lock first: nearly always there is nothing to do.
    let any = format!("SELECT EXISTS (SELECT 1 FROM operations WHERE {due})");
    let (any,): (bool,) = sqlx::query_as(AssertSqlSafe(any)).fetch_one(db.reader()).await?;
    if !any {
        return Ok(Vec::new());
    }
    let mut tx = db.begin().await?;
    let lease = format!(
        "UPDATE operations SET driver = $1, lease_until_ms = {NOW_MS} + $2 \
         WHERE id IN (SELECT id FROM operations WHERE {due} ORDER BY next_try_at_ms LIMIT $3) RETURNING {COLUMNS}"
    );
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(lease))
        .bind(request.driver.0.to_string())
        .bind(LEASE_MS)
        .bind(request.limit.clamp(1, 100))
        .fetch_all(&mut *tx)
        .await?;
    let mut checkouts = Vec::with_capacity(rows.len());
    for row in rows {
        match row.checkout() {
            Ok(checkout) => checkouts.push(checkout),
            // Not an error of the call: it would roll back, and this row would hold up all others for ever (IK-17).
            Err(error) => give_to_a_person(&mut tx, &row.id, &error).await?,
        }
    }
    Sqlite::commit(tx).await?;
    Ok(checkouts)
}

async fn give_to_a_person(tx: &mut SqliteConnection, id: &str, error: &StoreError) -> Result<(), StoreError> {
    let attention = "UPDATE operations SET state = 'needs_attention', reason = $2, driver = NULL, lease_until_ms = 0, \
                     next_try_at_ms = 9223372036854775807 WHERE id = $1 AND state = 'accepted'";
    sqlx::query(attention).bind(id).bind(error.to_string()).execute(tx).await?;
    Ok(())
}

pub(super) async fn by_id(tx: &mut SqliteConnection, id: OperationId) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM operations WHERE id = $1");
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(tx).await?)
}

async fn now_ms(tx: &mut SqliteConnection) -> Result<i64, StoreError> {
    let sql = format!("SELECT {NOW_MS}");
    let (now_ms,): (i64,) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(tx).await?;
    Ok(now_ms)
}
