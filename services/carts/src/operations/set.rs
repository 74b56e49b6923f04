//! Replaces what the customer saw of a product by an exact quantity.

use contract::{Outcome, Repeatable, carts::Set};

use super::checked_quantity;
use crate::{App, store::CartChange};

/// What the customer did not see, for example an add on a page that is open elsewhere, stays.
///
/// # Errors
/// Refused when the cart has taken its bound of changes.
pub async fn set(app: App, request: Set, _: Repeatable) -> Outcome<Set> {
    let quantity = checked_quantity(request.quantity)?;
    let Set { cart, op, sku, observed, .. } = request;
    app.change(cart, CartChange::Set { op, sku, observed, quantity }).await
}
