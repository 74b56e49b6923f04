//! `orders.postpone`: gives a lease back, to be tried again later.

use contract::{CallError, Outcome, Repeatable, orders::Postpone};

use crate::App;

pub(crate) async fn postpone(app: App, request: Postpone, _: Repeatable) -> Outcome<Postpone> {
    app.orders.postpone(request).await?.map_err(CallError::Refused)
}
