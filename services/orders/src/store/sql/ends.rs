//! The two ends of a checkout. State, stored answer and outbox change in one transaction, from an open state only; who
//! comes second gets the stored answer.

use contract::{
    EventId, Fingerprint, OperationId,
    orders::{Answer, Complete, EventKind, NotFound, OrderState, Refuse, RefuseReason},
};
use sqlx::{AssertSqlSafe, SqliteConnection};
use store::{Sqlite, StoreError, sqlite::NOW_MS};
use uuid::Uuid;

use super::{leases::by_id, row::Row};

pub(super) async fn complete(db: &Sqlite, request: Complete) -> Result<Result<Answer, NotFound>, StoreError> {
    let mut tx = db.begin().await?;
    let Some(row) = by_id(&mut tx, request.operation).await? else { return Ok(Err(NotFound::NotFound)) };
    if let Some(answer) = row.answer()? {
        return Ok(Ok(answer));
    }
    let mut order = row.order()?;
    order.state = OrderState::Completed;
    let answer = Answer::Completed(order.clone());
    end(&mut tx, &row, "completed", Some(&request.provider_id), &answer).await?;
    let snapshot = row.snapshot()?;
    let clear = EventKind::ClearCart { cart: snapshot.cart, epoch: snapshot.epoch, ops: snapshot.ops };
    let receipt = EventKind::SendReceipt { principal: row.checkout()?.principal, order };
    for kind in [EventKind::SettleStock, clear, receipt] {
        publish(&mut tx, request.operation, &kind).await?;
    }
    Sqlite::commit(tx).await?;
    Ok(Ok(answer))
}

pub(super) async fn refuse(db: &Sqlite, request: Refuse) -> Result<Result<Answer, NotFound>, StoreError> {
    let mut tx = db.begin().await?;
    let Some(row) = by_id(&mut tx, request.operation).await? else { return Ok(Err(NotFound::NotFound)) };
    if let Some(answer) = row.answer()? {
        return Ok(Ok(answer));
    }
    let order = request.operation;
    let (state, answer) = match request.reason {
        RefuseReason::Declined { code } => ("declined", Answer::Declined { order, code }),
        RefuseReason::OutOfStock { sku, available } => ("refused", Answer::OutOfStock { order, sku, available }),
    };
    end(&mut tx, &row, state, None, &answer).await?;
    // The lines are free to be bought again, under a new key.
    sqlx::query("DELETE FROM claimed_ops WHERE operation = $1").bind(order.to_string()).execute(&mut *tx).await?;
    publish(&mut tx, order, &EventKind::ReleaseStock).await?;
    Sqlite::commit(tx).await?;
    Ok(Ok(answer))
}

async fn end(
    tx: &mut SqliteConnection,
    row: &Row,
    state: &str,
    provider_id: Option<&str>,
    answer: &Answer,
) -> Result<(), StoreError> {
    let update = "UPDATE operations SET state = $2, provider_id = $3, answer = $4, payment = NULL, driver = NULL, \
                  lease_until_ms = 0 WHERE id = $1 AND state IN ('accepted', 'needs_attention')";
    let touched = sqlx::query(update)
        .bind(&row.id)
        .bind(state)
        .bind(provider_id)
        .bind(serde_json::to_string(answer)?)
        .execute(tx)
        .await?;
    if touched.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::NotExecuted(format!("operation {} is not open", row.id)))
    }
}

async fn publish(tx: &mut SqliteConnection, operation: OperationId, kind: &EventKind) -> Result<(), StoreError> {
    let kind = serde_json::to_string(kind)?;
    // A function of its content, so that no repeat can publish an event twice.
    let hash = Fingerprint::of(format!("{operation} {kind}").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    let sql = format!("INSERT INTO outbox (id, operation, kind, created_at_ms) VALUES ($1, $2, $3, {NOW_MS})");
    sqlx::query(AssertSqlSafe(sql))
        .bind(EventId(Uuid::new_v8(id)).to_string())
        .bind(operation.to_string())
        .bind(kind)
        .execute(tx)
        .await?;
    Ok(())
}
