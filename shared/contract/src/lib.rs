//! The contract between the tiers: one request type per operation, its promise in the type.
//!
//! Read `operation.rs` and `retry.rs` first, then any family's file. Everything else (server routes, the client, metrics
//! labels, `docs/operations.md`, `docs/data-sets.md`, conformance tests) is derived from what is declared here. This crate knows no HTTP, no
//! store and no runtime, so an interface can be read and compiled without any implementation.
#![warn(missing_docs)]

mod all;
pub mod cart;
mod data_sets;
mod family;
mod fingerprint;
mod ids;
mod money;
mod operation;
mod outcome;
pub mod replication;
mod retry;
pub mod session;
mod sharing;

pub mod carts;
pub mod catalogue;
pub mod orders;
pub mod payments;
pub mod sessions;
pub mod shop;

pub use all::{OPERATIONS, OperationInfo, operations_page};
pub use data_sets::{DATA_SETS, DataSetInfo, data_sets_page};
pub use family::{Family, OPERATOR, UnknownFamily};
pub use fingerprint::{Fingerprint, canonical_json};
pub use ids::{CartId, EventId, IdError, OpId, OperationId, PrincipalId, RequestId, SessionId, Sku};
pub use money::{Currency, Money, MoneyError};
pub use operation::Operation;
pub use outcome::{CallError, Outcome};
pub use retry::{AtLeastOnce, AtMostOnce, Attempt, ExactlyOnce, NoKey, Once, Repeatable, Strategy, WireKey};
pub use sharing::{
    COPIES_MAX, DataSet, ShareEverything, ShareNothing, ShareSomething, Sharing, UnknownSharing, Upholds,
};
