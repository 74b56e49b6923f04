//! What an operation is: the request type *is* the declaration.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Family, Strategy};

/// One operation between tiers. Its type fixes who serves it, what it answers and what a caller may do when the answer
/// is lost; nothing about it is written a second time anywhere.
///
/// Neither request, reply nor refusal may contain a map with random iteration order: fingerprints need one spelling.
///
/// Versions N and N+1 speak to each other during an upgrade (DR-8), so what a reader does not know it skips, and what is new
/// has a default and is left out while it has it. What an older callee must not skip, such as a further condition, makes an
/// operation of another name. Kept values (carts, sessions), which are read, joined and written back, are strict instead: a
/// skipped field would be lost. `tests/wire.rs` holds today's types to what was recorded.
pub trait Operation: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Route (`POST /op/<NAME>`), span, metric label and anchor in the documents: `<who>.<verb>`.
    const NAME: &'static str;
    /// The family that serves it.
    const FAMILY: Family;
    /// One line for `docs/operations.md`: what it does and why its strategy is the weakest that is right.
    const WHY: &'static str;
    /// How long one attempt may take, in milliseconds, before its outcome is unknown and another node may be asked.
    const ATTEMPT_MS: u64 = 1_000;
    /// The answer when it was done.
    type Reply: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The domain's definite no. Never resent; nothing was changed.
    type Refusal: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The promise: a type, because it changes the signatures of callers and handlers.
    type Retry: Strategy;

    /// A plausible request, for the documents, conformance tests and fuzzing.
    fn example() -> Self;
}
