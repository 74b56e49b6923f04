//! What the stores of all services share. A service's own trait, SQL and migrations live with the service; here are the
//! pieces that would otherwise be written five times.
#![warn(missing_docs)]

mod error;
pub mod ledger;
pub mod replicated;
pub mod sqlite;
mod uri;

pub use error::StoreError;
pub use replicated::Replicated;
pub use sqlite::Sqlite;
pub use uri::{StoreUri, StoreUriError};
