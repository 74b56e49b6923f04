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
    view.map_err(CallError::widen)
}

/// The cart as its customer sees it after a change. The change was made, so a failure from here on must not say that
/// nothing was: whoever believed it would add again under a new key (SEM-2).
pub(super) async fn view_changed<R>(app: &App, id: CartId, contents: &CartContents) -> Result<CartView, CallError<R>> {
    view(app, id, contents).await.map_err(|error| done_before(error.widen()))
}

/// What is left of an error once something was executed: "not executed" is true of the last step only.
pub(crate) fn done_before<R>(error: CallError<R>) -> CallError<R> {
    match error {
        CallError::NotExecuted(reason) => CallError::Unknown(format!("an earlier step was executed; then {reason}")),
        definite_or_unknown => definite_or_unknown,
    }
}

/// The cart as its customer sees it.
pub(super) async fn view(app: &App, id: CartId, contents: &CartContents) -> Result<CartView, CallError<Never>> {
    let (lines, total) = app.prices.lines(contents).await?;
    Ok(CartView { id, lines, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_change_nothing_is_called_not_executed() {
        let failed = |error: CallError<()>| done_before(error).label();
        assert_eq!(failed(CallError::NotExecuted("catalogue is down".to_owned())), "unknown");
        assert_eq!(failed(CallError::Unknown("lost".to_owned())), "unknown");
        assert_eq!(failed(CallError::Refused(())), "refused");
    }
}
