//! `orders.heartbeat`: keeps a lease.

use contract::{Outcome, Repeatable, orders::Heartbeat};

use crate::App;

pub(crate) async fn heartbeat(app: App, request: Heartbeat, _: Repeatable) -> Outcome<Heartbeat> {
    Ok(app.orders.heartbeat(request).await?)
}
