//! A person's decision: its effect and its record in one transaction (CO-22). The record is the exactly-once ledger: a
//! repeat of the id gets the same answer. Refusals are remembered too, or a late repeat of a refused decision could take
//! effect after its person was told that it did not.

use contract::{
    Once, OperationId,
    orders::{Action, OrderState, Resolve, ResolveRefusal},
};
use store::{Database, Link, StoreError, sql};

use super::ends::{locked, write};
use crate::store::{
    row::Row,
    rules::{self, Effect, bounded},
};

type Answer = Result<Option<OrderState>, ResolveRefusal>;

pub(super) async fn resolve(db: &Database, once: &Once, request: &Resolve) -> Result<Answer, StoreError> {
    let mut tx = db.begin().await?;
    let select = sql("SELECT fingerprint, answer FROM actions WHERE request_id = $1").bind(once.id().as_str());
    match tx.optional::<(Vec<u8>, String)>(select).await? {
        Some((fingerprint, _)) if fingerprint != once.fingerprint().as_bytes() => {
            return Ok(Err(ResolveRefusal::IdReused));
        }
        Some((_, answer)) => return Ok(serde_json::from_str(&answer)?),
        None => {}
    }
    let answer = decide(&mut tx, request).await?;
    // Two first requests with one id meet in this row; the second one is run again and finds it.
    let record = "INSERT INTO actions (request_id, fingerprint, item, at_ms, action, operator, note, answer) \
                  VALUES ($1, $2, $3, now_ms(), $4, $5, $6, $7)";
    let record = sql(record)
        .bind(once.id().as_str())
        .bind(once.fingerprint().as_bytes().as_slice())
        .bind(request.id.to_string())
        .bind(serde_json::to_string(&request.action)?)
        .bind(bounded(&request.operator))
        .bind(bounded(&request.note))
        .bind(serde_json::to_string(&answer)?);
    tx.execute(record).await?;
    runtime::crash::point("orders.resolve.written");
    Database::commit(tx).await?;
    runtime::crash::point("orders.resolve.committed");
    Ok(answer)
}

async fn decide(tx: &mut Link, request: &Resolve) -> Result<Answer, StoreError> {
    if let Some(row) = locked(tx, OperationId(request.id)).await? {
        return match rules::effect(row.state()?, request.action.clone()) {
            Ok(effect) => apply(tx, &row, effect).await.map(|state| Ok(Some(state))),
            Err(refusal) => Ok(Err(refusal)),
        };
    }
    let id = request.id.to_string();
    let event = "SELECT operation FROM outbox WHERE id = $1 FOR UPDATE";
    if let Some((operation,)) = tx.optional::<(String,)>(sql(event).bind(&id)).await? {
        return deliver_again(tx, request, &operation).await;
    }
    let finding = "SELECT operation FROM findings WHERE id = $1 AND closed_at_ms IS NULL FOR UPDATE";
    let Some((operation,)) = tx.optional::<(Option<String>,)>(sql(finding).bind(&id)).await? else {
        return Ok(Err(ResolveRefusal::NoItem));
    };
    let close = match request.action {
        Action::Retry => "DELETE FROM findings WHERE id = $1",
        _ => "UPDATE findings SET closed_at_ms = now_ms() WHERE id = $1",
    };
    tx.execute(sql(close).bind(&id)).await?;
    match operation {
        Some(operation) => state_of(tx, &operation).await.map(Ok),
        None => Ok(Ok(None)),
    }
}

async fn apply(tx: &mut Link, row: &Row, effect: Effect) -> Result<OrderState, StoreError> {
    let (update, refund_id, state) = match effect {
        Effect::TryAgain => {
            let update = "UPDATE operations SET state = 'accepted', next_try_at_ms = now_ms(), attention_since_ms = NULL, \
                          refund_id = $2 WHERE id = $1 AND state = 'needs_attention'";
            (update, None, OrderState::Accepted)
        }
        Effect::Refund { refund_id } => {
            let update =
                "UPDATE operations SET state = 'refunded', refund_id = $2 WHERE id = $1 AND state = 'completed'";
            (update, Some(refund_id), OrderState::Refunded)
        }
        Effect::End(ending) => {
            let ended = rules::ending(row, ending)?;
            write(tx, row, &ended).await?;
            return serde_json::from_value(ended.state.into()).map_err(StoreError::from);
        }
    };
    if tx.execute(sql(update).bind(&row.id).bind(refund_id)).await? == 1 {
        Ok(state)
    } else {
        Err(StoreError::Conflict(format!("operation {} was just changed", row.id)))
    }
}

async fn deliver_again(tx: &mut Link, request: &Resolve, operation: &str) -> Result<Answer, StoreError> {
    let again = "UPDATE outbox SET attention_since_ms = NULL, attempts = 0, lease_until_ms = 0 \
                 WHERE id = $1 AND attention_since_ms IS NOT NULL";
    let waits = request.action == Action::Retry && tx.execute(sql(again).bind(request.id.to_string())).await? == 1;
    let state = state_of(tx, operation).await?;
    Ok(if waits { Ok(state) } else { Err(ResolveRefusal::WrongState(state)) })
}

async fn state_of(tx: &mut Link, operation: &str) -> Result<Option<OrderState>, StoreError> {
    let state: Option<(String,)> =
        tx.optional(sql("SELECT state FROM operations WHERE id = $1").bind(operation)).await?;
    state.map(|(state,)| serde_json::from_value(state.into())).transpose().map_err(StoreError::from)
}
