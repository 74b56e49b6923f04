//! `orders.due`: claims checkouts that nobody drives.

use contract::{Outcome, Repeatable, orders::Due};

use crate::App;

pub(crate) async fn due(app: App, request: Due, _: Repeatable) -> Outcome<Due> {
    Ok(app.orders.due(request).await?)
}
