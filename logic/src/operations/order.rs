//! `shop.order`: one of the caller's orders.

use contract::{
    NoKey, Outcome, Repeatable,
    orders::Get,
    shop::{ShowOrder, ShowOrderRefusal},
};

use crate::App;

pub(crate) async fn order(app: App, request: ShowOrder, _: Repeatable) -> Outcome<ShowOrder> {
    let session = app.authenticate(request.session).await;
    let principal = session.map_err(|error| error.map_refusal(|_| ShowOrderRefusal::Unauthenticated))?.principal;
    app.home_reachable(&app.orders)?;
    let get = Get { principal, order: request.order };
    app.orders.call(&get, NoKey).await.map_err(|error| error.map_refusal(|_| ShowOrderRefusal::NotFound))
}
