//! `orders.flag`: puts a difference into the needs-attention queue.

use contract::{Outcome, Repeatable, orders::Flag};

use crate::App;

pub(crate) async fn flag(app: App, request: Flag, _: Repeatable) -> Outcome<Flag> {
    Ok(app.orders.flag(request).await?)
}
