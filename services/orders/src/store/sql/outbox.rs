//! The outbox: taken by lease, forgotten by exact id. Never "all up to an id": ids commit out of order (CO-24).

use contract::orders::{Ack, Event, Events};
use store::{Database, StoreError, sql};

use super::SqlOrders;
use crate::store::{
    ATTEMPTS_MAX,
    rules::{EVENT_LEASE_TIMES, readable},
};

const LAPSED: &str = "attention_since_ms IS NULL AND lease_until_ms <= now_ms()";

pub(super) async fn events(store: &SqlOrders, request: &Events) -> Result<Vec<Event>, StoreError> {
    // Looked at without a transaction first: nearly always there is nothing to do.
    let any = format!(
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE {LAPSED}), \
         EXISTS (SELECT 1 FROM outbox WHERE {LAPSED} AND attempts >= $1)"
    );
    let (any, poisoned): (bool, bool) = store.db.reader().await?.one(sql(any).bind(ATTEMPTS_MAX)).await?;
    if !any {
        return Ok(Vec::new());
    }
    let mut tx = store.db.begin().await?;
    if poisoned {
        let give_up = format!("UPDATE outbox SET attention_since_ms = now_ms() WHERE {LAPSED} AND attempts >= $1");
        let count = tx.execute(sql(give_up).bind(ATTEMPTS_MAX)).await?;
        tracing::error!(count, "events could not be delivered and wait for a person");
    }
    let lease = format!(
        "WITH picked AS MATERIALIZED (SELECT id FROM outbox WHERE {LAPSED} AND attempts < $1 \
         ORDER BY lease_until_ms, created_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED) \
         UPDATE outbox SET attempts = attempts + 1, lease_until_ms = now_ms() + $3 * {EVENT_LEASE_TIMES} \
         WHERE id IN (SELECT id FROM picked) RETURNING id, operation, kind, created_at_ms"
    );
    let lease = sql(lease).bind(ATTEMPTS_MAX).bind(request.limit.clamp(1, 100)).bind(store.periods.event_lease_ms);
    let mut rows: Vec<(String, String, String, i64)> = tx.all(lease).await?;
    Database::commit(tx).await?;
    runtime::crash::point("orders.events.leased");
    rows.sort_by_key(|(.., created_at_ms)| *created_at_ms);
    // One that cannot be read, perhaps a newer version's, must not take the others of its batch with it (CO-26).
    Ok(rows.iter().filter_map(|(id, operation, kind, _)| readable(id, operation, kind)).collect())
}

pub(super) async fn ack(db: &Database, request: &Ack) -> Result<(), StoreError> {
    let ids = &request.ids[..request.ids.len().min(100)];
    let Some(last) = ids.iter().max() else { return Ok(()) };
    let forget = if runtime::bug("outbox-up-to-max") {
        sql("DELETE FROM outbox WHERE id <= $1").bind(last.to_string())
    } else {
        sql("DELETE FROM outbox WHERE id = EACH($1)").bind_each(ids)
    };
    db.alone(forget).await?;
    runtime::crash::point("orders.ack.committed");
    Ok(())
}
