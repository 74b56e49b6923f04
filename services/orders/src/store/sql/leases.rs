//! Leases: who drives a checkout. For liveness only; a late driver's writes are stopped by the compare-and-set.
//!
//! A checkout in needs-attention is still driven, slowly, while the provider's window is open: a long outage of the
//! provider must not leave work for people that the machine can finish when the provider is back (CO-15). After that its
//! next try never comes, unless somebody learns something new.

use contract::{
    OperationId,
    orders::{Due, Heartbeat, NotFound, Nudge, OpenCheckout, OrderState, Postpone, Take, Taken},
};
use store::{Database, Link, StoreError, sql};

use super::SqlOrders;
use crate::store::{
    ATTEMPTS_KEPT, ATTEMPTS_MAX,
    row::{COLUMNS, Row},
    rules::{AFTER_WINDOW_MS, NEVER_MS, bounded, not_taken},
};

const OPEN: &str = "state IN ('accepted', 'needs_attention')";

pub(super) async fn take(store: &SqlOrders, request: &Take) -> Result<Result<Taken, NotFound>, StoreError> {
    // Looked at without the write lock first: each waiting repeat asks twenty times a second, and would keep the driver
    // that it waits for from writing.
    let mut reader = store.db.reader().await?;
    let Some(row) = by_id(&mut reader, request.operation).await? else { return Ok(Err(NotFound::NotFound)) };
    drop(reader);
    let others = row.driver.as_ref().is_some_and(|driver| *driver != request.driver.0.to_string());
    if !row.is_open() || (others && row.lease_until_ms > row.now_ms) {
        return not_taken(&row, &store.periods).map(Ok);
    }
    let mut tx = store.db.begin().await?;
    let lease = format!(
        "UPDATE operations SET driver = $2, lease_until_ms = now_ms() + $3 \
         WHERE id = $1 AND {OPEN} \
         AND (driver = $2 OR (lease_until_ms <= now_ms() AND next_try_at_ms <= now_ms())) RETURNING {COLUMNS}"
    );
    let lease =
        sql(lease).bind(request.operation.to_string()).bind(request.driver.0.to_string()).bind(store.periods.lease_ms);
    let Some(row) = tx.optional::<Row>(lease).await? else {
        return match by_id(&mut tx, request.operation).await? {
            Some(row) => not_taken(&row, &store.periods).map(Ok),
            None => Ok(Err(NotFound::NotFound)),
        };
    };
    let taken = match row.checkout() {
        Ok(checkout) => Taken::Yours(checkout),
        Err(error) => {
            give_to_a_person(&mut tx, &row.id, &error).await?;
            Taken::Busy { state: OrderState::NeedsAttention, driven: false }
        }
    };
    Database::commit(tx).await?;
    Ok(Ok(taken))
}

pub(super) async fn heartbeat(store: &SqlOrders, request: &Heartbeat) -> Result<bool, StoreError> {
    let renew =
        format!("UPDATE operations SET lease_until_ms = now_ms() + $3 WHERE id = $1 AND {OPEN} AND driver = $2");
    let renew =
        sql(renew).bind(request.operation.to_string()).bind(request.driver.0.to_string()).bind(store.periods.lease_ms);
    Ok(store.db.alone(renew).await? == 1)
}

pub(super) async fn postpone(db: &Database, request: &Postpone) -> Result<Result<OrderState, NotFound>, StoreError> {
    let to_a_person = "(state = 'needs_attention' OR $5 = 1 OR attempts + 1 >= $6)";
    let put_off = format!(
        "UPDATE operations SET driver = NULL, lease_until_ms = 0, attempts = attempts + 1, reason = $3, \
         next_try_at_ms = CASE WHEN {to_a_person} AND not_after_ms + {AFTER_WINDOW_MS} <= now_ms() THEN {NEVER_MS} \
             ELSE now_ms() + $4 END, \
         attention_since_ms = CASE WHEN state = 'accepted' AND {to_a_person} THEN now_ms() ELSE attention_since_ms END, \
         state = CASE WHEN {to_a_person} THEN 'needs_attention' ELSE state END \
         WHERE id = $1 AND {OPEN} AND driver = $2 RETURNING {COLUMNS}"
    );
    let reason = bounded(&request.reason);
    let put_off = sql(put_off)
        .bind(request.operation.to_string())
        .bind(request.driver.0.to_string())
        .bind(&reason)
        .bind(request.delay_ms.clamp(0, 60_000))
        .bind(i64::from(request.attention))
        .bind(ATTEMPTS_MAX);
    let mut tx = db.begin().await?;
    let Some(row) = tx.optional::<Row>(put_off).await? else {
        let row = by_id(&mut tx, request.operation).await?;
        return row.map_or(Ok(Err(NotFound::NotFound)), |row| row.state().map(Ok));
    };
    log_attempt(&mut tx, &row, &reason).await?;
    Database::commit(tx).await?;
    runtime::crash::point("orders.postpone.committed");
    row.state().map(Ok)
}

async fn log_attempt(tx: &mut Link, row: &Row, reason: &str) -> Result<(), StoreError> {
    let log = "INSERT INTO attempts (operation, number, at_ms, reason) VALUES ($1, $2, now_ms(), $3)";
    tx.execute(sql(log).bind(&row.id).bind(row.attempts).bind(reason)).await?;
    let oldest = row.attempts - i64::from(ATTEMPTS_KEPT);
    if oldest > 0 {
        let forget = "DELETE FROM attempts WHERE operation = $1 AND number <= $2";
        tx.execute(sql(forget).bind(&row.id).bind(oldest)).await?;
    }
    Ok(())
}

pub(super) async fn nudge(db: &Database, request: &Nudge) -> Result<(), StoreError> {
    let waits = format!("id = $1 AND {OPEN} AND next_try_at_ms > now_ms()");
    // Looked at without a transaction first: each charge is told of, and nearly always its driver was told before.
    let any = format!("SELECT EXISTS (SELECT 1 FROM operations WHERE {waits})");
    let (any,): (bool,) = db.reader().await?.one(sql(any).bind(request.operation.to_string())).await?;
    if !any {
        return Ok(());
    }
    let nudge = format!("UPDATE operations SET next_try_at_ms = now_ms() WHERE {waits}");
    db.alone(sql(nudge).bind(request.operation.to_string())).await?;
    Ok(())
}

pub(super) async fn due(store: &SqlOrders, request: &Due) -> Result<Vec<OpenCheckout>, StoreError> {
    let due = format!("{OPEN} AND next_try_at_ms <= now_ms() AND lease_until_ms <= now_ms()");
    // Looked at without a transaction first: nearly always there is nothing to do.
    let any = format!("SELECT EXISTS (SELECT 1 FROM operations WHERE {due})");
    let (any,): (bool,) = store.db.reader().await?.one(sql(any)).await?;
    if !any {
        return Ok(Vec::new());
    }
    let mut tx = store.db.begin().await?;
    let lease = format!(
        "WITH picked AS MATERIALIZED (SELECT id FROM operations WHERE {due} ORDER BY next_try_at_ms LIMIT $3 \
         FOR UPDATE SKIP LOCKED) \
         UPDATE operations SET driver = $1, lease_until_ms = now_ms() + $2 \
         WHERE id IN (SELECT id FROM picked) RETURNING {COLUMNS}"
    );
    let lease =
        sql(lease).bind(request.driver.0.to_string()).bind(store.periods.lease_ms).bind(request.limit.clamp(1, 100));
    let rows: Vec<Row> = tx.all(lease).await?;
    let mut checkouts = Vec::with_capacity(rows.len());
    for row in rows {
        match row.checkout() {
            Ok(checkout) => checkouts.push(checkout),
            // Not an error of the call: it would roll back, and this row would hold up all others for ever (IK-17).
            Err(error) => give_to_a_person(&mut tx, &row.id, &error).await?,
        }
    }
    Database::commit(tx).await?;
    Ok(checkouts)
}

/// A row that this binary cannot read: no driver gets it until a person, or news, makes it due again.
async fn give_to_a_person(tx: &mut Link, id: &str, error: &StoreError) -> Result<(), StoreError> {
    tracing::error!(operation = id, %error, "a checkout cannot be read and waits for a person");
    let attention = format!(
        "UPDATE operations SET reason = $2, driver = NULL, lease_until_ms = 0, next_try_at_ms = {NEVER_MS}, \
         attention_since_ms = CASE WHEN state = 'accepted' THEN now_ms() ELSE attention_since_ms END, \
         state = 'needs_attention' WHERE id = $1 AND {OPEN}"
    );
    tx.execute(sql(attention).bind(id).bind(error.to_string())).await?;
    Ok(())
}

pub(super) async fn by_id(link: &mut Link, id: OperationId) -> Result<Option<Row>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM operations WHERE id = $1");
    link.optional(sql(select).bind(id.to_string())).await
}
