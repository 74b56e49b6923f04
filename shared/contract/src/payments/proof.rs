//! What the provider says by itself: events that it sends, and its ledger.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ChargeStatus;
use crate::{AtLeastOnce, Family, Money, Operation, OperationId, catalogue::example_operation, sessions::Never};

/// The provider says, unasked, that it has made a charge. Goes through the same compare-and-set as its answer does, so
/// copies and reordering are harmless (CO-18).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Observe {
    /// The checkout that key and reference name.
    pub operation: OperationId,
    /// The provider's name for the charge.
    pub provider_id: String,
    /// How much.
    pub amount: Money,
}

impl Operation for Observe {
    const NAME: &'static str = "payments.observe";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "the first decision wins: the same event again finds it made";
    /// Whether this was news: the charge was open, and is recorded now.
    type Reply = bool;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), provider_id: "ch_1".to_owned(), amount: Money::gbp(1299) }
    }
}

/// What is on record about a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRecord {
    /// How it stands; none if it is closed.
    pub status: Option<ChargeStatus>,
    /// Sends that were begun.
    pub attempts: u32,
    /// Of those, the ones that are not proved to have stayed here.
    pub maybe_sent: u32,
    /// What a person said about it.
    pub note: Option<String>,
    /// The provider's name for the refund, if it was paid back.
    pub refund_id: Option<String>,
}

/// Shows what is on record about a charge, for an operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspect {
    /// The checkout.
    pub operation: OperationId,
}

impl Operation for Inspect {
    const NAME: &'static str = "payments.inspect";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "a read";
    /// None if nothing was ever asked for.
    type Reply = Option<ChargeRecord>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation() }
    }
}

/// One difference between the provider's ledger and ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// A function of what differs.
    pub id: Uuid,
    /// Of which checkout, if the reference is one of ours.
    pub operation: Option<OperationId>,
    /// What differs.
    pub reason: String,
    /// How much is at stake.
    pub amount: Option<Money>,
}

/// Compares the provider's whole ledger with ours, both ways (CO-19). What is younger than the provider's window for late
/// effects is left for the next time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reconcile {
    /// Most differences to return, 1 to 1,000.
    pub limit: u32,
}

impl Operation for Reconcile {
    const NAME: &'static str = "payments.reconcile";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "a read";
    const ATTEMPT_MS: u64 = 30_000;
    type Reply = Vec<Mismatch>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { limit: 100 }
    }
}
