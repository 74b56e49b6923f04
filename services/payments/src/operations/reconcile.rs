//! `payments.reconcile`: the provider's ledger and ours, both ways.

use contract::{CallError, Outcome, Repeatable, payments::Reconcile};
use rpc::Scope;
use tokio::time::Instant;

use super::charge::PATIENCE_DEFAULT;
use crate::App;

/// Most differences in one answer.
const LIMIT_MAX: u32 = 1_000;

pub(crate) async fn reconcile(app: App, op: Reconcile, _: Repeatable) -> Outcome<Reconcile> {
    if !(1..=LIMIT_MAX).contains(&op.limit) {
        return Err(CallError::NotExecuted(format!("the limit of a reconciliation is 1 to {LIMIT_MAX}")));
    }
    let deadline = Instant::now() + Scope::current().map_or(PATIENCE_DEFAULT, |scope| scope.remaining());
    app.gateway.reconcile(op.limit as usize, deadline).await
}
