//! `orders.ack`: forgets exactly these events.

use contract::{Outcome, Repeatable, orders::Ack};

use crate::App;

pub(crate) async fn ack(app: App, request: Ack, _: Repeatable) -> Outcome<Ack> {
    Ok(app.orders.ack(request).await?)
}
