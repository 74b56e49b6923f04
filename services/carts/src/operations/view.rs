//! Shows a cart.

use contract::{Outcome, Repeatable, carts::View};

use crate::App;

/// A cart that nobody wrote to is empty.
///
/// # Errors
/// *Not executed* when the store cannot be read.
pub async fn view(app: App, request: View, _: Repeatable) -> Outcome<View> {
    Ok((&app.store.cart(request.cart).await?).into())
}
