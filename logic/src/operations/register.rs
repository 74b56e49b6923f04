//! `shop.register`: makes an account.

use contract::{Outcome, Repeatable, sessions, shop::Register};

use crate::App;

pub(crate) async fn register(app: App, request: Register, _: Repeatable) -> Outcome<Register> {
    let Register { request, account, email, password } = request;
    app.register(sessions::Register { request, account, email, password }).await
}
