//! Adds pieces of a product.

use contract::{Outcome, Repeatable, carts::Add};

use super::checked_quantity;
use crate::{App, store::CartChange};

/// A repeat finds its dot in the cart and changes nothing.
///
/// # Errors
/// Refused when the cart has taken its bound of changes.
pub async fn add(app: App, request: Add, _: Repeatable) -> Outcome<Add> {
    let quantity = checked_quantity(request.quantity)?;
    app.change(request.cart, CartChange::Add { op: request.op, sku: request.sku, quantity }).await
}
