//! Replication inside the family: some of all carts, for a node that copies them before it is ready.

use contract::{Outcome, Repeatable, carts::Page};

use crate::App;

/// In order of id; an empty page is the end.
///
/// # Errors
/// *Not executed* when the store cannot be read.
pub async fn page(app: App, request: Page, _: Repeatable) -> Outcome<Page> {
    Ok(app.store.page(request.after).await?)
}
