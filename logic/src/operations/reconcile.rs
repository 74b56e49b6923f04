//! `shop.reconcile`: compares the provider's ledger with ours, now.

use contract::{Outcome, Repeatable, shop::Reconcile};

use crate::{App, reconciler};

pub(crate) async fn reconcile(app: App, _: Reconcile, _: Repeatable) -> Outcome<Reconcile> {
    reconciler::compare(&app).await
}
