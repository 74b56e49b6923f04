//! `shop.remove_line`: takes a product out. One that is not in the cart is out already.

use contract::{CallError, NoKey, OpId, Outcome, Repeatable, carts::Remove, shop::RemoveLine};

use super::{
    add_to_cart::{refused, unauthenticated},
    cart::view_changed,
    set_line::observed,
};
use crate::{App, app::cart_of};

pub(crate) async fn remove_line(app: App, request: RemoveLine, _: Repeatable) -> Outcome<RemoveLine> {
    let session = app.authenticate(request.session).await;
    let cart = cart_of(&session.map_err(|error| error.map_refusal(unauthenticated))?);
    let observed = observed(&app, cart, &request.sku).await.map_err(CallError::widen)?;
    let op = OpId::new(cart, request.request.as_str());
    let remove = Remove { cart, op, sku: request.sku, observed };
    let contents = app.carts.call(&remove, NoKey).await.map_err(|error| error.map_refusal(refused))?;
    view_changed(&app, cart, &contents).await
}
