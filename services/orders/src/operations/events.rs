//! `orders.events`: claims events that wait to be delivered.

use contract::{Outcome, Repeatable, orders::Events};

use crate::App;

pub(crate) async fn events(app: App, request: Events, _: Repeatable) -> Outcome<Events> {
    Ok(app.orders.events(request).await?)
}
