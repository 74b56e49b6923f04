//! Removes what the customer saw of a product.

use contract::{Outcome, Repeatable, carts::Remove};

use crate::{App, store::CartChange};

/// A late repeat removes nothing that came later: it names what it removes.
///
/// # Errors
/// Refused when the cart has taken its bound of changes.
pub async fn remove(app: App, request: Remove, _: Repeatable) -> Outcome<Remove> {
    let Remove { cart, op, sku, observed } = request;
    app.change(cart, CartChange::Remove { op, sku, observed }).await
}
