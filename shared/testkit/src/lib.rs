//! What tests need beside the code they test. Nothing ships from here.
//!
//! [`postgres`] is a private PostgreSQL server. `tests/promises.rs` shows that promises cannot be dropped without the
//! compiler noticing, and `tests/tidy.rs` holds the rules of the code base.

pub mod postgres;
