//! The needs-attention queue: what waits for a person, and all that is on record about it (CO-20, CO-21).

use contract::{
    OperationId,
    orders::{
        ActionRecord, AttemptRecord, Attention, AttentionDetail, AttentionItem, AttentionKind, Flag, Inspect, NoItem,
    },
};
use sqlx::FromRow;
use store::{Database, Link, StoreError, sql};
use uuid::Uuid;

use super::leases::by_id;
use crate::store::{
    row::total_if_readable,
    rules::{bounded, checkout_item, event_reason},
};

/// Decisions shown of one item, the newest ones: a person makes a handful.
const ACTIONS_SHOWN: u32 = 100;

/// One row of the three tables, as an item.
#[derive(Debug, FromRow)]
struct Item {
    id: String,
    kind: String,
    operation: Option<String>,
    /// Of an event its content, from which the reason is made.
    reason: Option<String>,
    /// JSON that holds the amount: of a checkout its snapshot.
    amount: Option<String>,
    since_ms: i64,
    attempts: i64,
}

const EVENTS: &str = "SELECT id, 'event' AS kind, operation, kind AS reason, CAST(NULL AS TEXT) AS amount, \
                      coalesce(attention_since_ms, created_at_ms) AS since_ms, attempts FROM outbox";
const FINDINGS: &str =
    "SELECT id, 'mismatch' AS kind, operation, reason, amount, since_ms, 0 AS attempts FROM findings";

pub(super) async fn attention(db: &Database, request: Attention) -> Result<Vec<AttentionItem>, StoreError> {
    let select = format!(
        "SELECT id, 'checkout' AS kind, id AS operation, reason, snapshot AS amount, \
         coalesce(attention_since_ms, created_at_ms) AS since_ms, attempts \
         FROM operations WHERE state = 'needs_attention' \
         UNION ALL {EVENTS} WHERE attention_since_ms IS NOT NULL \
         UNION ALL {FINDINGS} WHERE closed_at_ms IS NULL ORDER BY since_ms, id LIMIT $1"
    );
    let rows: Vec<Item> = db.reader().await?.all(sql(select).bind(request.limit.clamp(1, 100))).await?;
    rows.into_iter().map(item).collect()
}

fn item(row: Item) -> Result<AttentionItem, StoreError> {
    let corrupt = |_| StoreError::Corrupt(format!("needs-attention: {} cannot be read", row.id));
    let (kind, reason, amount) = match row.kind.as_str() {
        "checkout" => {
            (AttentionKind::Checkout, row.reason.unwrap_or_default(), row.amount.as_deref().and_then(total_if_readable))
        }
        "event" => (AttentionKind::Event, event_reason(&row.reason.unwrap_or_default(), row.attempts), None),
        _ => {
            let amount = row.amount.as_deref().map(serde_json::from_str).transpose()?;
            (AttentionKind::Mismatch, row.reason.unwrap_or_default(), amount)
        }
    };
    Ok(AttentionItem {
        id: Uuid::try_parse(&row.id).map_err(|_| corrupt(()))?,
        kind,
        operation: row.operation.as_deref().map(str::parse).transpose().map_err(|_| corrupt(()))?,
        reason,
        amount,
        since_ms: row.since_ms,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
    })
}

pub(super) async fn inspect(db: &Database, request: Inspect) -> Result<Result<AttentionDetail, NoItem>, StoreError> {
    let mut reader = db.reader().await?;
    let checkout = by_id(&mut reader, OperationId(request.id)).await?;
    let item = match &checkout {
        Some(row) => checkout_item(row)?,
        None => {
            let select = format!("{EVENTS} WHERE id = $1 UNION ALL {FINDINGS} WHERE id = $1");
            match reader.optional::<Item>(sql(select).bind(request.id.to_string())).await? {
                Some(row) => item(row)?,
                None => return Ok(Err(NoItem::NoItem)),
            }
        }
    };
    let row = match (checkout, item.operation) {
        (Some(row), _) => Some(row),
        (None, Some(operation)) => by_id(&mut reader, operation).await?,
        (None, None) => None,
    };
    let (attempts, actions) = (attempts(&mut reader, request.id).await?, actions(&mut reader, request.id).await?);
    Ok(Ok(AttentionDetail {
        item,
        state: row.as_ref().map(crate::store::row::Row::state).transpose()?,
        created_at_ms: row.as_ref().map(|row| row.created_at_ms),
        not_after_ms: row.as_ref().map(|row| row.not_after_ms),
        attempts,
        actions,
    }))
}

async fn attempts(reader: &mut Link, id: Uuid) -> Result<Vec<AttemptRecord>, StoreError> {
    let select = "SELECT at_ms, reason FROM attempts WHERE operation = $1 ORDER BY number";
    let rows: Vec<(i64, String)> = reader.all(sql(select).bind(id.to_string())).await?;
    Ok(rows.into_iter().map(|(at_ms, reason)| AttemptRecord { at_ms, reason }).collect())
}

/// What was done; a refused decision had no effect, and is on record only so that its repeat is refused too.
async fn actions(reader: &mut Link, id: Uuid) -> Result<Vec<ActionRecord>, StoreError> {
    let select = "SELECT at_ms, action, operator, note FROM actions WHERE item = $1 AND answer LIKE '{\"Ok\"%' \
                  ORDER BY at_ms DESC, request_id LIMIT $2";
    let rows: Vec<(i64, String, String, String)> =
        reader.all(sql(select).bind(id.to_string()).bind(ACTIONS_SHOWN)).await?;
    let record = |(at_ms, action, operator, note): (i64, String, String, String)| {
        Ok(ActionRecord { at_ms, action: serde_json::from_str(&action)?, operator, note })
    };
    rows.into_iter().rev().map(record).collect()
}

pub(super) async fn flag(db: &Database, request: &Flag) -> Result<(), StoreError> {
    let insert = "INSERT INTO findings (id, operation, reason, amount, since_ms) VALUES ($1, $2, $3, $4, now_ms()) \
                  ON CONFLICT (id) DO NOTHING";
    let amount = request.amount.as_ref().map(serde_json::to_string).transpose()?;
    let insert = sql(insert)
        .bind(request.id.to_string())
        .bind(request.operation.map(|operation| operation.to_string()))
        .bind(bounded(&request.reason))
        .bind(amount);
    let mut tx = db.begin().await?;
    tx.execute(insert).await?;
    Database::commit(tx).await
}
