//! `catalogue.settle`: the pieces of completed checkouts are sold.

use std::collections::BTreeSet;

use contract::{
    CallError, Outcome, Repeatable,
    catalogue::{SETTLE_MAX, Settle},
};

use crate::App;

pub(crate) async fn settle(app: App, op: Settle, _: Repeatable) -> Outcome<Settle> {
    let operations: BTreeSet<_> = op.operations.into_iter().collect();
    if operations.len() > SETTLE_MAX {
        return Err(CallError::NotExecuted(format!("at most {SETTLE_MAX} checkouts in one settlement")));
    }
    // What is available does not change: the pieces were reserved before.
    Ok(app.stock.settle(&operations).await?)
}
