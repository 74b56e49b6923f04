//! Makes a session that the home site has opened known in this one.

use contract::{CallError, Outcome, Repeatable, sessions::Admit};

use crate::App;

/// Kept as any session that is opened here; one that was logged out meanwhile stays so.
///
/// # Errors
/// *Not executed* when this id is another principal's session, or the store is full.
pub async fn admit(app: App, request: Admit, _: Repeatable) -> Outcome<Admit> {
    let Admit { session, opened } = request;
    let principal = opened.principal;
    let kept = app.sessions.open(session, opened).await?;
    if kept.principal == principal {
        Ok(())
    } else {
        Err(CallError::NotExecuted("this session id was used before; mint a new token".to_owned()))
    }
}
