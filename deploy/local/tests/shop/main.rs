//! The shop end to end: `trestle up` with real processes, two of each family, driven from outside through the public API.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod browser;
#[path = "../common/cluster.rs"]
mod cluster;
mod customer;
mod kills;
mod purchase;
mod telemetry;
