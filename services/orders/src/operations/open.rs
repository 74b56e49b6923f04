//! `orders.open`: claims a key and freezes the snapshot.

use contract::{CallError, Once, Outcome, orders::Open};

use crate::App;

pub(crate) async fn open(app: App, request: Open, once: Once) -> Outcome<Open> {
    app.orders.open(&once, request).await?.map_err(CallError::Refused)
}
