//! `shop.set_line`: exactly so many pieces.
//!
//! What the customer saw is read and fixed here, before the first send. Should the frontend ask a second logic node, that
//! one may see more; whichever arrives first counts, since the dot is the same, and where both arrived on different
//! replicas the merge drops what either saw.

use contract::{
    CallError, CartId, NoKey, OpId, Outcome, Repeatable, Sku,
    carts::{Set, View},
    sessions::Never,
    shop::{ChangeRefusal, SetLine},
};

use super::{
    add_to_cart::{refused, unauthenticated},
    cart::view_changed,
};
use crate::{App, app::cart_of};

pub(crate) async fn set_line(app: App, request: SetLine, _: Repeatable) -> Outcome<SetLine> {
    let (session, product) = tokio::join!(app.authenticate(request.session), app.prices.product(&request.sku));
    let cart = cart_of(&session.map_err(|error| error.map_refusal(unauthenticated))?);
    if product.map_err(CallError::widen)?.is_none() {
        return Err(CallError::Refused(ChangeRefusal::UnknownSku));
    }
    let observed = observed(&app, cart, &request.sku).await.map_err(CallError::widen)?;
    let op = OpId::new(cart, request.request.as_str());
    let set = Set { cart, op, sku: request.sku, quantity: request.quantity, observed };
    let contents = app.carts.call(&set, NoKey).await.map_err(|error| error.map_refusal(refused))?;
    view_changed(&app, cart, &contents).await
}

/// The live operations behind one product in the cart.
pub(super) async fn observed(app: &App, cart: CartId, sku: &Sku) -> Result<Vec<OpId>, CallError<Never>> {
    let contents = app.carts.call(&View { cart }, NoKey).await?;
    Ok(contents.lines.into_iter().find(|line| line.sku == *sku).map(|line| line.ops).unwrap_or_default())
}
