//! What the stores of all services share. A service's own trait, SQL and migrations live with the service; here are the
//! pieces that would otherwise be written five times.
#![warn(missing_docs)]

mod database;
mod error;
pub mod ledger;
mod patience;
mod postgres;
pub mod redis;
pub mod replicated;
pub mod ring;
pub mod simulated;
mod sql;
mod sqlite;
mod uri;

pub use self::redis::{RedisMap, RedisUri};
pub use database::{Database, Link, Migrations, Record};
pub use error::StoreError;
pub use patience::when_there;
pub use postgres::PostgresServer;
pub use replicated::Replicated;
pub use sql::{Sql, Value, sql};

pub use sqlite::Sqlite;
pub use uri::{PostgresUri, StoreUri, StoreUriError};
