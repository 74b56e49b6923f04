//! Reads for customers.

use contract::orders::{Get, List, NotFound, Order, OrderPage};
use store::{Database, StoreError, sql};

use crate::store::{
    row::{COLUMNS, Row},
    rules::page,
};

pub(super) async fn get(db: &Database, request: Get) -> Result<Result<Order, NotFound>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM operations WHERE id = $1 AND principal = $2");
    let select = sql(select).bind(request.order.to_string()).bind(request.principal.to_string());
    let row: Option<Row> = db.reader().await?.optional(select).await?;
    row.map_or(Ok(Err(NotFound::NotFound)), |row| row.order().map(Ok))
}

pub(super) async fn list(db: &Database, request: List) -> Result<OrderPage, StoreError> {
    let limit = request.limit.clamp(1, 100);
    // Ids are time-ordered, so "newest first" and the cursor are both the id.
    let select = format!(
        "SELECT {COLUMNS} FROM operations WHERE principal = $1 AND id < $2 \
         AND state NOT IN ('declined', 'refused') ORDER BY id DESC LIMIT $3"
    );
    let select = sql(select)
        .bind(request.principal.to_string())
        .bind(request.after.map_or_else(|| "~".to_owned(), |after| after.to_string()))
        .bind(limit + 1);
    let rows: Vec<Row> = db.reader().await?.all(select).await?;
    page(&rows, limit)
}
