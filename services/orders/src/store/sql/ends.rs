//! The two ends of a checkout. State, stored answer and outbox change in one transaction, from an open state only; who
//! comes second gets the stored answer.

use contract::{
    OperationId,
    orders::{Answer, Complete, NotFound, Refuse},
};
use store::{Database, Link, StoreError, sql};

use super::SqlOrders;
use crate::store::{
    row::{COLUMNS, End, Row},
    rules::{self, Ended, Ending},
};

pub(super) async fn complete(store: &SqlOrders, request: &Complete) -> Result<Result<Answer, NotFound>, StoreError> {
    let ending = Ending::Complete { provider_id: request.provider_id.clone() };
    let points = ["orders.complete.written", "orders.complete.committed"];
    end(store, request.operation, ending, points).await
}

pub(super) async fn refuse(store: &SqlOrders, request: &Refuse) -> Result<Result<Answer, NotFound>, StoreError> {
    let ending = Ending::Refuse(request.reason.clone());
    end(store, request.operation, ending, ["orders.refuse.written", "orders.refuse.committed"]).await
}

async fn end(
    store: &SqlOrders,
    operation: OperationId,
    ending: Ending,
    [written, committed]: [&'static str; 2],
) -> Result<Result<Answer, NotFound>, StoreError> {
    let mut tx = store.db.begin().await?;
    let Some(row) = locked(&mut tx, operation).await? else { return Ok(Err(NotFound::NotFound)) };
    match row.end(&store.periods)? {
        _ if runtime::bug("no-guard") => {}
        End::Answer(answer) => return Ok(Ok(*answer)),
        End::Expired => return Err(row.kept_no_more()),
        End::Open => {}
    }
    let ended = rules::ending(&row, ending)?;
    write(&mut tx, &row, &ended).await?;
    runtime::crash::point(written);
    Database::commit(tx).await?;
    runtime::crash::point(committed);
    Ok(Ok(ended.answer))
}

/// The row, which nobody else changes until the transaction ends.
pub(super) async fn locked(tx: &mut Link, id: OperationId) -> Result<Option<Row>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM operations WHERE id = $1 FOR UPDATE");
    tx.optional(sql(select).bind(id.to_string())).await
}

pub(super) async fn write(tx: &mut Link, row: &Row, ended: &Ended) -> Result<(), StoreError> {
    let guard = if runtime::bug("no-guard") { "" } else { "AND state IN ('accepted', 'needs_attention')" };
    let update = format!(
        "UPDATE operations SET state = $2, provider_id = $3, answer = $4, ended_at_ms = now_ms(), payment = NULL, \
         driver = NULL, lease_until_ms = 0 WHERE id = $1 {guard}"
    );
    let update = sql(update).bind(&row.id).bind(ended.state).bind(ended.provider_id.as_deref()).bind(&ended.stored);
    if tx.execute(update).await? != 1 {
        return Err(StoreError::Conflict(format!("operation {} is not open", row.id)));
    }
    if ended.frees_lines {
        tx.execute(sql("DELETE FROM claimed_ops WHERE operation = $1").bind(&row.id)).await?;
    }
    let places = |number: usize| format!("(${}, $1, ${}, now_ms())", 2 * number + 2, 2 * number + 3);
    let values: Vec<String> = (0..ended.events.len()).map(places).collect();
    let publish = format!(
        "INSERT INTO outbox (id, operation, kind, created_at_ms) VALUES {} ON CONFLICT (id) DO NOTHING",
        values.join(", ")
    );
    let publish = sql(publish).bind(&row.id);
    tx.execute(ended.events.iter().fold(publish, |publish, (id, kind)| publish.bind(id).bind(kind))).await?;
    Ok(())
}
