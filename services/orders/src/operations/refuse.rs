//! `orders.refuse`: ends a checkout that came to nothing.

use contract::{CallError, Once, Outcome, orders::Refuse};

use crate::App;

pub(crate) async fn refuse(app: App, request: Refuse, once: Once) -> Outcome<Refuse> {
    app.orders.refuse(&once, request).await?.map_err(CallError::Refused)
}
