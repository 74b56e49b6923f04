//! Under which names values are kept. The values themselves are their canonical JSON: two nodes that have seen the same
//! write the same bytes.

use contract::{CartId, SessionId, cart::Cart, session::Session};
use serde::{Serialize, de::DeserializeOwned};

use crate::replicated::Join;

/// A value that can be kept in a Redis.
pub trait Kept: Join + Serialize + DeserializeOwned {
    /// What its keys begin with; `carts` and `sessions` may share a database.
    const PREFIX: &'static str;

    /// The rest of its key.
    fn name(key: &Self::Key) -> String;
    /// The key that has this name.
    fn key(name: &str) -> Option<Self::Key>;
}

impl Kept for Cart {
    const PREFIX: &'static str = "cart:";

    fn name(key: &CartId) -> String {
        key.to_string()
    }

    fn key(name: &str) -> Option<CartId> {
        name.parse().ok()
    }
}

impl Kept for Session {
    const PREFIX: &'static str = "session:";

    fn name(key: &SessionId) -> String {
        key.to_string()
    }

    fn key(name: &str) -> Option<SessionId> {
        name.to_owned().try_into().ok()
    }
}
