//! What the replication operations of carts and sessions have in common.

use serde::{Deserialize, Serialize};

/// Who asks, and among whom it believes to be: who belongs to what is a function of the members alone, so an answer makes
/// sense only between nodes that know the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The asker's address, as it stands in the list of members.
    pub member: String,
    /// The asker's view: a hash of the members it knows.
    pub view: u64,
}

/// The asked node knows other members; ask again when both know the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherView {
    /// Its view.
    pub view: u64,
}

/// The request of an example in the documents.
pub(crate) fn example_asker() -> Asker {
    Asker { member: "127.0.0.1:7101".to_owned(), view: 1 }
}
