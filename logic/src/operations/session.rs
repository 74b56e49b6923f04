//! `shop.session`: who is this?

use contract::{Outcome, Repeatable, shop::WhoAmI};

use crate::App;

pub(crate) async fn session(app: App, request: WhoAmI, _: Repeatable) -> Outcome<WhoAmI> {
    app.authenticate(request.session).await
}
