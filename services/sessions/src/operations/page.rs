//! Replication inside the family: some of all sessions, for a node that copies them before it is ready.

use contract::{Outcome, Repeatable, sessions::Page};

use crate::App;

/// In order of id; an empty page is the end.
///
/// # Errors
/// *Not executed* when the store cannot be read.
pub async fn page(app: App, request: Page, _: Repeatable) -> Outcome<Page> {
    Ok(app.sessions.page(request.after).await?)
}
