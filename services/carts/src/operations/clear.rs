//! Ends an epoch after a checkout.

use contract::{CallError, Outcome, Repeatable, cart::OPS_MAX, carts::Clear};

use crate::{App, store::CartChange};

/// Exactly the bought operations go. It may arrive on a node that has not met them yet: then they never appear there.
///
/// A guest who logged in during the checkout took the bought lines along, so they go from the account's cart too.
///
/// # Errors
/// *Not executed* when it names more operations than a cart can have; *unknown* when only the guest's cart was cleared.
pub async fn clear(app: App, request: Clear, _: Repeatable) -> Outcome<Clear> {
    if request.ops.len() > OPS_MAX {
        return Err(CallError::NotExecuted(format!("{} operations are more than a cart has", request.ops.len())));
    }
    let clear = CartChange::Clear { epoch: request.epoch, ops: request.ops, now_ms: app.seams.now_ms() };
    let cleared = app.must_change(request.cart, clear.clone()).await?;
    // Read after the change: whoever adopts notes it in the guest's cart before reading what to adopt.
    let adopted_by = app.store.cart(request.cart).await.map(|cart| cart.adopted_by);
    let elsewhere = match adopted_by {
        Ok(None) => return Ok(cleared),
        Ok(Some(account)) => app.must_change(account, clear).await.map(|_| ()).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    elsewhere.map_err(|error| CallError::Unknown(format!("cleared, but maybe not where it was adopted: {error}")))?;
    Ok(cleared)
}
