//! What tests need beside the code they test. Nothing ships from here.
//!
//! [`postgres`] is a private PostgreSQL server, [`redis`] are private Redis servers, Sentinels and Clusters, [`ports`] are a shop's, [`seeded`] sees suites fail. `tests/promises.rs`
//! shows that promises cannot be dropped without the compiler noticing, and `tests/tidy.rs` holds the rules of the code
//! base.

pub mod ports;
pub mod postgres;
pub mod redis;
pub mod seeded;
mod server;
mod slot;
