//! `orders.get`: one order of a principal.

use contract::{CallError, Outcome, Repeatable, orders::Get};

use crate::App;

pub(crate) async fn get(app: App, request: Get, _: Repeatable) -> Outcome<Get> {
    app.orders.get(request).await?.map_err(CallError::Refused)
}
