//! Replication inside the family: where two nodes differ.

use contract::{Outcome, Repeatable, sessions::Digest};

use crate::App;

/// What both are to hold, as digests.
///
/// # Errors
/// Refused when the asker knows other members than we do. *Not executed* when we cannot answer yet.
pub async fn digest(app: App, request: Digest, _: Repeatable) -> Outcome<Digest> {
    app.replicated()?.digest_for(&request.asker, &request.groups)
}
