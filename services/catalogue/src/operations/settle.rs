//! `catalogue.settle`: the pieces of a completed checkout are sold.

use contract::{CallError, Outcome, Repeatable, catalogue::Settle};

use crate::App;

pub(crate) async fn settle(app: App, op: Settle, _: Repeatable) -> Outcome<Settle> {
    // What is available does not change: the pieces were reserved before.
    app.stock.settle(op.operation).await?.map_err(CallError::Refused)
}
