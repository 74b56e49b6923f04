//! `shop.open_session`: an anonymous session.

use contract::{NoKey, Outcome, Repeatable, sessions, shop::OpenSession};

use crate::App;

pub(crate) async fn open_session(app: App, request: OpenSession, _: Repeatable) -> Outcome<OpenSession> {
    let OpenSession { session, principal } = request;
    app.sessions.call(&sessions::Open { session, principal }, NoKey).await
}
