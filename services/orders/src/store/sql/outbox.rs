//! The outbox: taken by lease, forgotten by exact id. Never "all up to an id": ids commit out of order (CO-24).

use contract::orders::{Ack, Event, Events};
use sqlx::AssertSqlSafe;
use store::{Sqlite, StoreError, sqlite::NOW_MS};

use crate::store::EVENT_LEASE_MS;

pub(super) async fn events(db: &Sqlite, request: Events) -> Result<Vec<Event>, StoreError> {
    let any = format!("SELECT EXISTS (SELECT 1 FROM outbox WHERE lease_until_ms <= {NOW_MS})");
    let (any,): (bool,) = sqlx::query_as(AssertSqlSafe(any)).fetch_one(db.reader()).await?;
    if !any {
        return Ok(Vec::new());
    }
    let mut tx = db.begin().await?;
    // Each try doubles the lease, up to a minute, so that a poisoned event does not hold up the others (CO-26).
    let lease = format!(
        "UPDATE outbox SET attempts = attempts + 1, lease_until_ms = {NOW_MS} + MIN($1 << MIN(attempts, 4), 60000) \
         WHERE id IN (SELECT id FROM outbox WHERE lease_until_ms <= {NOW_MS} ORDER BY lease_until_ms, created_at_ms LIMIT $2) \
         RETURNING id, operation, kind"
    );
    let rows: Vec<(String, String, String)> = sqlx::query_as(AssertSqlSafe(lease))
        .bind(EVENT_LEASE_MS)
        .bind(request.limit.clamp(1, 100))
        .fetch_all(&mut *tx)
        .await?;
    Sqlite::commit(tx).await?;
    // One that cannot be read, perhaps a newer version's, must not take the others of its batch with it (CO-26).
    Ok(rows.iter().filter_map(|(id, operation, kind)| event(id, operation, kind)).collect())
}

fn event(id: &str, operation: &str, kind: &str) -> Option<Event> {
    let read = || Some((id.parse().ok()?, operation.parse().ok()?, serde_json::from_str(kind).ok()?));
    let Some((event, operation, kind)) = read() else {
        tracing::error!(event = id, operation, "an event of the outbox cannot be read; it stays and is tried again");
        return None;
    };
    Some(Event { id: event, operation, kind })
}

pub(super) async fn ack(db: &Sqlite, request: Ack) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    for id in request.ids.iter().take(100) {
        sqlx::query("DELETE FROM outbox WHERE id = $1").bind(id.to_string()).execute(&mut *tx).await?;
    }
    Sqlite::commit(tx).await
}
