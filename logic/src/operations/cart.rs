//! `shop.cart`: what is in the cart, with titles and prices.

use contract::{
    CallError, CartId, NoKey, Outcome, Repeatable,
    carts::{CartContents, View},
    sessions::Never,
    shop::{CartView, ShowCart},
};

use crate::{App, app::cart_of};

pub(crate) async fn cart(app: App, request: ShowCart, _: Repeatable) -> Outcome<ShowCart> {
    let cart = cart_of(&app.authenticate(request.session).await?);
    let contents = app.carts.call(&View { cart }, NoKey).await;
    let view = match contents {
        Ok(contents) => view(&app, cart, &contents).await,
        Err(error) => Err(error),
    };
    view.map_err(|error| error.map_refusal(|never| match never {}))
}

/// The cart as its customer sees it.
pub(super) async fn view(app: &App, id: CartId, contents: &CartContents) -> Result<CartView, CallError<Never>> {
    let (lines, total) = app.prices.lines(contents).await?;
    Ok(CartView { id, lines, total })
}
