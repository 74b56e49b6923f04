//! The carts family. A cart is a join-semilattice (`contract::cart`), so nodes that were cut off from each other both
//! take changes, and merge them when they meet again: no add is lost and nothing removed comes back.
//!
//! Read `store.rs` for what a back end promises, then `operations/`, one file each.
#![warn(missing_docs)]

mod app;
pub mod operations;
pub mod store;

pub use app::{App, Options, ops, run};
