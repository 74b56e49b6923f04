//! `orders.attention`: lists what waits for a person.

use contract::{Outcome, Repeatable, orders::Attention};

use crate::App;

pub(crate) async fn attention(app: App, request: Attention, _: Repeatable) -> Outcome<Attention> {
    Ok(app.orders.attention(request).await?)
}
