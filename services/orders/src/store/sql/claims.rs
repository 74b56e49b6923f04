//! Claiming a key: of any number of first requests exactly one wins (IK-6), and it wins the cart's lines too (IK-15).

use contract::{
    Once, PrincipalId,
    orders::{Find, Found, KeyReused, Open, OpenRefusal, Opened},
};
use sqlx::{AssertSqlSafe, SqliteConnection};
use store::{Sqlite, StoreError, sqlite::NOW_MS};

use super::row::{COLUMNS, Row, VERSION};
use crate::store::{LEASE_MS, NOT_AFTER_MS};

pub(super) async fn find(db: &Sqlite, request: Find) -> Result<Result<Found, KeyReused>, StoreError> {
    let mut reader = db.reader().acquire().await?;
    let row = by_key(&mut reader, request.principal, request.key.as_str()).await?;
    match row {
        None => Ok(Ok(Found::Nothing)),
        Some(row) if row.fingerprint != request.fingerprint.as_bytes() => Ok(Err(KeyReused::KeyReused)),
        Some(row) => row.found().map(Ok),
    }
}

pub(super) async fn open(db: &Sqlite, once: &Once, request: Open) -> Result<Result<Opened, OpenRefusal>, StoreError> {
    let mut tx = db.begin().await?;
    if let Some(row) = by_key(&mut tx, request.principal, once.id().as_str()).await? {
        if row.fingerprint != request.fingerprint.as_bytes() {
            return Ok(Err(OpenRefusal::KeyReused));
        }
        // The winning claim, sent again because its answer was lost, is still the winner.
        let mine = row.is_open() && row.driver == Some(request.driver.0.to_string());
        return Ok(Ok(if mine { Opened::Claimed(row.checkout()?) } else { Opened::Existing(row.found()?) }));
    }
    if let Some(order) = claimed_by_another(&mut tx, &request).await? {
        return Ok(Err(OpenRefusal::CartClaimed { order }));
    }
    insert(&mut tx, once, &request).await?;
    let row = by_key(&mut tx, request.principal, once.id().as_str()).await?;
    let checkout =
        row.ok_or_else(|| StoreError::Corrupt("the row just written is not there".to_owned()))?.checkout()?;
    Sqlite::commit(tx).await?;
    Ok(Ok(Opened::Claimed(checkout)))
}

async fn by_key(tx: &mut SqliteConnection, principal: PrincipalId, key: &str) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM operations WHERE principal = $1 AND request_key = $2");
    Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(principal.to_string()).bind(key).fetch_optional(tx).await?)
}

async fn claimed_by_another(
    tx: &mut SqliteConnection,
    request: &Open,
) -> Result<Option<contract::OperationId>, StoreError> {
    for op in &request.snapshot.ops {
        let owner: Option<(String,)> = sqlx::query_as("SELECT operation FROM claimed_ops WHERE op = $1")
            .bind(op.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some((owner,)) = owner {
            return owner.parse().map(Some).map_err(|_| StoreError::Corrupt(format!("claimed_ops: {owner} is no id")));
        }
    }
    Ok(None)
}

async fn insert(tx: &mut SqliteConnection, once: &Once, request: &Open) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO operations (id, principal, request_key, fingerprint, version, state, snapshot, payment, \
         created_at_ms, not_after_ms, driver, lease_until_ms, next_try_at_ms) \
         VALUES ($1, $2, $3, $4, $5, 'accepted', $6, $7, {NOW_MS}, {NOW_MS} + $8, $9, {NOW_MS} + $10, {NOW_MS})"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(request.operation.to_string())
        .bind(request.principal.to_string())
        .bind(once.id().as_str())
        .bind(request.fingerprint.as_bytes().as_slice())
        .bind(VERSION)
        .bind(serde_json::to_string(&request.snapshot)?)
        .bind(&request.payment.0)
        .bind(NOT_AFTER_MS)
        .bind(request.driver.0.to_string())
        .bind(LEASE_MS)
        .execute(&mut *tx)
        .await?;
    for op in &request.snapshot.ops {
        sqlx::query("INSERT INTO claimed_ops (op, operation) VALUES ($1, $2)")
            .bind(op.to_string())
            .bind(request.operation.to_string())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
