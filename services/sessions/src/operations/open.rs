//! Opens an anonymous session.

use contract::{Outcome, Repeatable, sessions::Open};

use crate::App;

/// The caller minted both ids, so a repeat is the same session, with the first one's expiry.
///
/// # Errors
/// *Not executed* when the session was logged out before this (late) request came, or the token was used by another.
pub async fn open(app: App, request: Open, _: Repeatable) -> Outcome<Open> {
    Ok(app.open_session(request.session, request.principal, None).await?)
}
