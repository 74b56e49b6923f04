//! Ends an epoch after a checkout.

use contract::{CallError, Outcome, Repeatable, cart::OPS_MAX, carts::Clear};

use crate::{App, store::CartChange};

/// Exactly the bought operations go. It may arrive on a node that has not met them yet: then they never appear there.
///
/// # Errors
/// *Not executed* when it names more operations than a cart can have.
pub async fn clear(app: App, request: Clear, _: Repeatable) -> Outcome<Clear> {
    if request.ops.len() > OPS_MAX {
        return Err(CallError::NotExecuted(format!("{} operations are more than a cart has", request.ops.len())));
    }
    app.must_change(request.cart, CartChange::Clear { epoch: request.epoch, ops: request.ops }).await
}
