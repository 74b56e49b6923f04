//! Replication inside the family: joins a peer's sessions.

use contract::{
    CallError, Outcome, Repeatable,
    sessions::{MERGE_MAX, Merge},
};

use crate::App;

/// Served from the moment the node listens, ready or not.
///
/// # Errors
/// *Not executed* when not all sessions fit; the peer sends them again.
pub async fn merge(app: App, request: Merge, _: Repeatable) -> Outcome<Merge> {
    if request.entries.len() > MERGE_MAX {
        return Err(CallError::NotExecuted(format!("more than {MERGE_MAX} sessions in one message")));
    }
    Ok(app.sessions.merge(request.entries).await?)
}
