//! `shop.add_to_cart`: so many pieces more.
//!
//! The dot is made from the cart and the request's id, so whichever node a repeat reaches, it is the same operation.

use contract::{
    CallError, NoKey, OpId, Outcome, Repeatable,
    carts::{Add, CartRefusal},
    sessions::NoSession,
    shop::{AddToCart, ChangeRefusal},
};

use super::cart::view_changed;
use crate::{App, app::cart_of};

pub(crate) async fn add_to_cart(app: App, request: AddToCart, _: Repeatable) -> Outcome<AddToCart> {
    // Who it is and whether the product exists do not depend on each other.
    let (session, product) = tokio::join!(app.authenticate(request.session), app.prices.product(&request.sku));
    let cart = cart_of(&session.map_err(|error| error.map_refusal(unauthenticated))?);
    if product.map_err(CallError::widen)?.is_none() {
        return Err(CallError::Refused(ChangeRefusal::UnknownSku));
    }
    let op = OpId::new(cart, request.request.as_str());
    let add = Add { cart, op, sku: request.sku, quantity: request.quantity };
    let contents = app.carts.call(&add, NoKey).await.map_err(|error| error.map_refusal(refused))?;
    view_changed(&app, cart, &contents).await
}

pub(super) fn unauthenticated(_: NoSession) -> ChangeRefusal {
    ChangeRefusal::Unauthenticated
}

pub(super) fn refused(refusal: CartRefusal) -> ChangeRefusal {
    match refusal {
        CartRefusal::CartFull => ChangeRefusal::CartFull,
        CartRefusal::KeyReused => ChangeRefusal::KeyReused,
    }
}
