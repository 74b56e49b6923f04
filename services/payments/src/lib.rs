//! Node family *payments*: the gateway to the third-party payment provider.
//!
//! One checkout is charged at most once, whatever dies, repeats or answers late. Read `store.rs` (what is remembered),
//! then `gateway.rs` (the order of steps), then `provider/answers.rs` (what each answer proves).
#![warn(missing_docs)]

mod app;
pub mod conformance;
mod gateway;
mod operations;
mod permits;
pub mod provider;
pub mod store;
mod window;

pub use app::{App, Options, ops, run};
pub use gateway::Limits;
pub use store::Charges;
pub use window::Window;
