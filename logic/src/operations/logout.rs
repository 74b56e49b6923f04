//! `shop.logout`: ends the session on every node.

use contract::{NoKey, Outcome, Repeatable, sessions, shop::Logout};

use crate::App;

pub(crate) async fn logout(app: App, request: Logout, _: Repeatable) -> Outcome<Logout> {
    app.sessions.call(&sessions::Revoke { session: request.session }, NoKey).await
}
