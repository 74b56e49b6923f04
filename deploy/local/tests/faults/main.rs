//! Links between real processes that are cut, slow or lose replies, as an operator makes them: `trestle cut` and its kin.
//! What customers see is what the promises say, and nothing is left of a fault once it is healed.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/cluster.rs"]
mod cluster;
mod commands;
#[path = "../shop/customer.rs"]
#[expect(dead_code, reason = "shared with other targets, which use more of it")]
mod customer;
mod links;
