//! The orders node: one row per checkout, driven to its end by any logic node. Open `store.rs` first.

mod app;
mod gauges;
mod operations;
mod reaper;
pub mod store;

pub use app::{App, Options, ops, run};
