//! `shop.provider_event`: the provider says, unasked, that it has made a charge (CO-18).
//!
//! The payments family records it, if that is news; then the checkout is due at once, instead of at its next try. Both are
//! repeated with the event, so one that was cut off in between is finished by its next copy, or by the completer.
//!
//! A checkout that this node is driving just now is due already: it was when its driver took it, and the orders family would
//! find nothing to change. Most events come while their checkout is still driven, and half of them here.

use contract::{NoKey, Outcome, Repeatable, orders::Nudge, payments::Observe, shop::ProviderEvent};

use super::cart::done_before;
use crate::App;

pub(crate) async fn provider_event(app: App, event: ProviderEvent, _: Repeatable) -> Outcome<ProviderEvent> {
    let ProviderEvent { operation, provider_id, amount } = event;
    app.payments.call(&Observe { operation, provider_id, amount }, NoKey).await?;
    if app.driving.contains(operation) {
        return Ok(());
    }
    app.orders.call(&Nudge { operation }, NoKey).await.map_err(done_before)
}
