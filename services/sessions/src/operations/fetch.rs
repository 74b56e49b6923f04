//! Replication inside the family: one session, for a node that does not hold it.

use contract::{Outcome, Repeatable, sessions::Fetch};

use crate::App;

/// Our own copy only: the asker joins those of all holders.
///
/// # Errors
/// Refused when the asker knows other members than we do. *Not executed* when we cannot answer yet.
pub async fn fetch(app: App, request: Fetch, _: Repeatable) -> Outcome<Fetch> {
    app.replicated()?.copy_of(&request.asker, &request.session)
}
