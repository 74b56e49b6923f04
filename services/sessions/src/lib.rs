//! The sessions family: accounts in a relational store, sessions in memory that is replicated between the nodes.
//!
//! Tokens never come here, only their hashes (`contract::SessionId`); passwords come here and go no further than
//! `password.rs`. Read `store.rs` for what the back ends promise, then `operations/`, one file each.
#![warn(missing_docs)]

mod app;
pub mod operations;
mod password;
pub mod store;
mod throttle;

pub use app::{App, Lives, Options, ops, run};
