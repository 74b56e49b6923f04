//! Replication inside the family: some of what the asker is to hold.

use contract::{Outcome, Repeatable, carts::Page};

use crate::App;

/// For a node that refills before it is ready, or that found a difference.
///
/// # Errors
/// Refused when the asker knows other members than we do. *Not executed* when we cannot answer yet.
pub async fn page(app: App, request: Page, _: Repeatable) -> Outcome<Page> {
    app.replicated()?.page_for(&request.asker, &request.vnodes, request.after.as_ref())
}
