//! `orders.inspect`: all that is on record about one item.

use contract::{CallError, Outcome, Repeatable, orders::Inspect};

use crate::App;

pub(crate) async fn inspect(app: App, request: Inspect, _: Repeatable) -> Outcome<Inspect> {
    app.orders.inspect(request).await?.map_err(CallError::Refused)
}
