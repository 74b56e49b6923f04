//! Who is this?

use contract::{
    CallError, Outcome, Repeatable,
    sessions::{Lookup, NoSession},
};

use crate::App;

/// Unknown, over and logged out are one answer.
///
/// # Errors
/// Refused when the session lets nobody in.
pub async fn lookup(app: App, request: Lookup, _: Repeatable) -> Outcome<Lookup> {
    let known = app.sessions.session(request.session).await?;
    known.filter(|session| session.is_live(app.seams.now_ms())).ok_or(CallError::Refused(NoSession::Unauthenticated))
}
