//! `shop.viewed`: counts a look, at most once: nobody waits for it and nobody sends it twice.

use contract::{Attempt, NoKey, Outcome, catalogue, shop::Viewed};

use crate::App;

pub(crate) async fn viewed(app: App, request: Viewed, _: Attempt) -> Outcome<Viewed> {
    app.catalogue.call(&catalogue::Viewed { sku: request.sku }, NoKey).await
}
