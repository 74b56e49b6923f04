//! What ends a charge other than the provider's answer to it: closing it, a person's evidence, paying it back.

use serde::{Deserialize, Serialize};

use crate::{AtLeastOnce, ExactlyOnce, Family, Money, Operation, OperationId, catalogue::example_operation};

/// Who says so, and why: kept with what it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Who, 1 to 500 characters.
    pub operator: String,
    /// Why, 1 to 500 characters.
    pub note: String,
}

fn example_evidence() -> Evidence {
    Evidence { operator: "ada".to_owned(), note: "not in the provider's console".to_owned() }
}

/// Makes sure that a checkout which will not be charged never is: leaves a mark that refuses a later charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Close {
    /// The checkout.
    pub operation: OperationId,
    /// Needed if anything may have reached the provider (CO-22).
    pub evidence: Option<Evidence>,
}

/// Why it could not be closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseRefusal {
    /// Money was taken.
    Charged,
    /// Something may have been sent and could still take effect: time must pass, or evidence be given.
    MayStillHappen,
}

impl Operation for Close {
    const NAME: &'static str = "payments.close";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "leaves one mark however often it is sent";
    type Reply = ();
    type Refusal = CloseRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), evidence: Some(example_evidence()) }
    }
}

/// Records a charge that a person has seen at the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attest {
    /// The checkout.
    pub operation: OperationId,
    /// The provider's name for the charge.
    pub provider_id: String,
    /// Who has seen it.
    pub evidence: Evidence,
}

/// Why it was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttestRefusal {
    /// Nothing was ever sent for this checkout.
    NoIntent,
    /// It is declined, closed, or charged under another name.
    DecidedOtherwise,
}

impl Operation for Attest {
    const NAME: &'static str = "payments.attest";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "the first decision wins: saying it again finds it said";
    type Reply = ();
    type Refusal = AttestRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), provider_id: "ch_1".to_owned(), evidence: example_evidence() }
    }
}

/// Pays a whole charge back. The provider is given `refund-` and the operation's id as its key on every attempt, so there is
/// at most one refund for a checkout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    /// The checkout; also the request id.
    pub operation: OperationId,
    /// How much: what was charged.
    pub amount: Money,
    /// Who wants it.
    pub evidence: Evidence,
}

/// What is known about a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Money was paid back, once.
    Refunded {
        /// The provider's name for it.
        refund_id: String,
    },
    /// Not known yet: ask again with the same operation.
    Pending {
        /// What was seen, for the operator.
        reason: String,
    },
}

/// Why nothing was paid back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundRefusal {
    /// The provider said no, for good.
    Provider {
        /// Its code.
        code: String,
    },
    /// Another amount was charged, or asked for before.
    OtherAmount,
}

impl Operation for Refund {
    const NAME: &'static str = "payments.refund";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "money: a repeat must not pay back twice";
    const ATTEMPT_MS: u64 = 4_000;
    type Reply = RefundStatus;
    type Refusal = RefundRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self { operation: example_operation(), amount: Money::gbp(1299), evidence: example_evidence() }
    }
}
