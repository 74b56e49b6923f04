//! `shop.attention`: what waits for a person.

use contract::{NoKey, Outcome, Repeatable, orders, shop::Attention};

use crate::App;

pub(crate) async fn attention(app: App, request: Attention, _: Repeatable) -> Outcome<Attention> {
    app.orders.call(&orders::Attention { limit: request.limit }, NoKey).await
}
