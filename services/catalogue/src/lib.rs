//! Node family *catalogue*: products, prices, stock and the reservations of checkouts.
//!
//! Open `store.rs` first: its traits say what the family promises. Reads are served from a copy of the shelf that is at
//! most a second old (`shelf.rs`); whoever decides about stock goes to the table (`store/sqlite.rs`).
#![warn(missing_docs)]

mod app;
pub mod conformance;
mod data_file;
mod home_copy;
mod operations;
mod shelf;
mod snapshot;
pub mod store;
mod views;

pub use app::{App, Options, ops, run};
pub use data_file::{DataFileError, NewProduct, embedded, parse};
pub use store::Stock;
