//! Takes a guest's cart over into an account's cart at login.

use contract::{Outcome, Repeatable, carts::Adopt};

use crate::{App, store::CartChange};

/// The guest's cart keeps its lines: were it emptied, a repeat after a lost answer would find nothing to take over on a
/// node that had not met the first try. It notes the account's cart first, so that a checkout which the guest began
/// clears what it bought there too.
///
/// # Errors
/// *Not executed* when both carts together exceed what a cart remembers.
pub async fn adopt(app: App, request: Adopt, _: Repeatable) -> Outcome<Adopt> {
    app.must_change(request.guest, CartChange::AdoptedBy { account: request.cart }).await?;
    let guest = app.store.cart(request.guest).await?;
    app.must_change(request.cart, CartChange::Adopt { guest }).await
}
