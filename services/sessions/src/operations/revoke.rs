//! Logs out.

use contract::{Outcome, PrincipalId, Repeatable, session::Session, sessions::Revoke};

use crate::App;

/// Also for a session that this node does not know: its opening may still be on its way, and must find it revoked.
///
/// # Errors
/// *Not executed* when the store is full.
pub async fn revoke(app: App, request: Revoke, _: Repeatable) -> Outcome<Revoke> {
    let life_ms = app.lives.account_ms.max(app.lives.anonymous_ms);
    let mark = Session {
        // The smallest principal there is, so any merge keeps the session's own.
        principal: PrincipalId(uuid::Uuid::nil()),
        account: None,
        expires_at_ms: app.seams.now_ms().saturating_add(life_ms),
        revoked: true,
    };
    Ok(app.sessions.revoke(request.session, mark).await?)
}
