//! Two sites that lose each other and meet again, with real processes: the talk's story of the book and the train set,
//! what a cut-off site still does, and what it says clearly that it cannot do.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/cluster.rs"]
#[expect(dead_code, reason = "shared with other targets, which use more of it")]
mod cluster;
#[path = "../shop/customer.rs"]
#[expect(dead_code, reason = "shared with other targets, which use more of it")]
mod customer;
mod cut_off;
mod story;
mod world;
