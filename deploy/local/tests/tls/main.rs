//! Mutual TLS between tiers, with real processes: a shop that sells by it, everybody whom it must refuse, and what it costs.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/alone.rs"]
mod alone;
#[path = "../common/cluster.rs"]
#[expect(dead_code, reason = "shared with the tests of the shop")]
mod cluster;
mod cost;
#[path = "../shop/customer.rs"]
#[expect(dead_code, reason = "shared with the tests of the shop")]
mod customer;
mod knock;
mod shop;
