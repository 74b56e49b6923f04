//! `orders.find`: what a key stands for.

use contract::{CallError, Outcome, Repeatable, orders::Find};

use crate::App;

pub(crate) async fn find(app: App, request: Find, _: Repeatable) -> Outcome<Find> {
    app.orders.find(request).await?.map_err(CallError::Refused)
}
