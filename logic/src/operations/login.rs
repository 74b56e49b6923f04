//! `shop.login`: opens an account's session; the guest's cart comes along.
//!
//! Every step may be repeated: the session is named by its token's hash, the carts are merged, the guest's session is
//! revoked. A login that is cut off in between is finished by its repeat.

use contract::{CallError, NoKey, Outcome, Repeatable, SessionId, carts, session::Session, sessions, shop::Login};

use super::cart::done_before;
use crate::{App, app::cart_of};

pub(crate) async fn login(app: App, request: Login, _: Repeatable) -> Outcome<Login> {
    let Login { session, email, password, guest } = request;
    let account = app.log_in(sessions::Login { session, email, password }).await?;
    if let Some(guest) = guest.filter(|guest| *guest != session) {
        // The session is open already.
        let brought = bring_cart_along(&app, guest, &account).await;
        brought.map_err(|error| done_before(error.widen()))?;
    }
    Ok(account)
}

async fn bring_cart_along(app: &App, guest: SessionId, account: &Session) -> Result<(), CallError<sessions::Never>> {
    let guest_session = match app.authenticate(guest).await {
        Ok(session) => session,
        Err(CallError::Refused(_)) => return Ok(()),
        Err(CallError::NotExecuted(reason)) => return Err(CallError::NotExecuted(reason)),
        Err(CallError::Unknown(reason)) => return Err(CallError::Unknown(reason)),
    };
    if guest_session.account.is_none() {
        let adopt = carts::Adopt { cart: cart_of(account), guest: cart_of(&guest_session) };
        app.carts.call(&adopt, NoKey).await?;
    }
    app.sessions.call(&sessions::Revoke { session: guest }, NoKey).await
}
