//! `catalogue.list`: one page of products.

use contract::{CallError, Outcome, Repeatable, catalogue::List};

use crate::App;

pub(crate) async fn list(app: App, op: List, _: Repeatable) -> Outcome<List> {
    app.shelf.products().await?.page(&op).map_err(CallError::Refused)
}
