//! `orders.complete`: records a paid order.

use contract::{CallError, Once, Outcome, orders::Complete};

use crate::App;

pub(crate) async fn complete(app: App, request: Complete, once: Once) -> Outcome<Complete> {
    app.orders.complete(&once, request).await?.map_err(CallError::Refused)
}
