//! `catalogue.viewed`: counts a look at a product's page.

use contract::{Attempt, Outcome, catalogue::Viewed};

use crate::App;

pub(crate) async fn viewed(app: App, op: Viewed, _: Attempt) -> Outcome<Viewed> {
    if app.shelf.products().await?.get(&op.sku).is_some() {
        let views = app.views.count(&op.sku);
        tracing::debug!(sku = %op.sku, views, "viewed");
    }
    Ok(())
}
