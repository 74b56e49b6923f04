//! Reads for customers and operators.

use contract::orders::{Attention, AttentionItem, Get, List, NotFound, Order, OrderPage};
use sqlx::AssertSqlSafe;
use store::{Sqlite, StoreError};

use super::row::{COLUMNS, Row};

pub(super) async fn get(db: &Sqlite, request: Get) -> Result<Result<Order, NotFound>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM operations WHERE id = $1 AND principal = $2");
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(request.order.to_string())
        .bind(request.principal.to_string())
        .fetch_optional(db.reader())
        .await?;
    row.map_or(Ok(Err(NotFound::NotFound)), |row| row.order().map(Ok))
}

pub(super) async fn list(db: &Sqlite, request: List) -> Result<OrderPage, StoreError> {
    let limit = usize::try_from(request.limit.clamp(1, 100)).unwrap_or(100);
    // Ids are time-ordered, so "newest first" and the cursor are both the id.
    let sql = format!(
        "SELECT {COLUMNS} FROM operations WHERE principal = $1 AND id < $2 \
         AND state NOT IN ('declined', 'refused') ORDER BY id DESC LIMIT $3"
    );
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(request.principal.to_string())
        .bind(request.after.map_or_else(|| "~".to_owned(), |after| after.to_string()))
        .bind(i64::from(request.limit.clamp(1, 100)) + 1)
        .fetch_all(db.reader())
        .await?;
    let more = rows.len() > limit;
    let items = rows.iter().take(limit).map(Row::order).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| more).map(|order| order.id);
    Ok(OrderPage { items, next })
}

pub(super) async fn attention(db: &Sqlite, request: Attention) -> Result<Vec<AttentionItem>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM operations WHERE state = 'needs_attention' ORDER BY created_at_ms LIMIT $1");
    let rows: Vec<Row> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(request.limit.clamp(1, 100)).fetch_all(db.reader()).await?;
    rows.into_iter()
        .map(|row| {
            Ok(AttentionItem {
                operation: row.id()?,
                amount: row.total_if_readable(),
                created_at_ms: row.created_at_ms,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                reason: row.reason.unwrap_or_default(),
            })
        })
        .collect()
}
