//! `shop.orders`: the caller's orders, newest first.

use contract::{CallError, NoKey, Outcome, Repeatable, orders::List, shop::Orders};

use crate::App;

pub(crate) async fn orders(app: App, request: Orders, _: Repeatable) -> Outcome<Orders> {
    let principal = app.authenticate(request.session).await?.principal;
    app.home_reachable(&app.orders)?;
    let list = List { principal, after: request.after, limit: request.limit };
    app.orders.call(&list, NoKey).await.map_err(CallError::widen)
}
