//! `shop.register`: makes an account.

use contract::{NoKey, Outcome, Repeatable, sessions, shop::Register};

use crate::App;

pub(crate) async fn register(app: App, request: Register, _: Repeatable) -> Outcome<Register> {
    let Register { request, account, email, password } = request;
    app.sessions.call(&sessions::Register { request, account, email, password }, NoKey).await
}
