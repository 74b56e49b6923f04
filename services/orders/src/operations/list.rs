//! `orders.list`: a page of a principal's orders.

use contract::{Outcome, Repeatable, orders::List};

use crate::App;

pub(crate) async fn list(app: App, request: List, _: Repeatable) -> Outcome<List> {
    Ok(app.orders.list(request).await?)
}
