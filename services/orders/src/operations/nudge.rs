//! `orders.nudge`: makes an open checkout due now.

use contract::{Outcome, Repeatable, orders::Nudge};

use crate::App;

pub(crate) async fn nudge(app: App, request: Nudge, _: Repeatable) -> Outcome<Nudge> {
    Ok(app.orders.nudge(request).await?)
}
