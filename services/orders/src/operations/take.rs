//! `orders.take`: takes a checkout whose driver's lease has lapsed.

use contract::{CallError, Outcome, Repeatable, orders::Take};

use crate::App;

pub(crate) async fn take(app: App, request: Take, _: Repeatable) -> Outcome<Take> {
    app.orders.take(request).await?.map_err(CallError::Refused)
}
