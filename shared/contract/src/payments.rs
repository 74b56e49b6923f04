//! Operations of the payments family: the gateway to the third party.
//!
//! Here is the charge; `outlook` how one would fare, `evidence` holds what is done when no charge will come or one must go back, `proof` what the
//! provider says by itself: its events and its ledger.

use serde::{Deserialize, Serialize};

use crate::{ExactlyOnce, Family, Money, Operation, OperationId, catalogue::example_operation};

mod evidence;
mod outlook;
mod proof;

pub use evidence::{Attest, AttestRefusal, Close, CloseRefusal, Evidence, Refund, RefundRefusal, RefundStatus};
pub use outlook::{Expected, Outlook};
pub use proof::{ChargeRecord, Inspect, Mismatch, Observe, Reconcile};

/// The customer's means of payment as the provider named it. Never logged, never returned.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentToken(pub String);

impl std::fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Charges a checkout. The provider is given the operation's id as its key and as the permanent reference, on every
/// attempt and from every node (CO-4).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// The checkout; also the request id, the provider's key and the merchant reference.
    pub operation: OperationId,
    /// How much, frozen when the checkout was opened.
    pub amount: Money,
    /// With what.
    pub token: PaymentToken,
    /// Unix milliseconds after which the provider must refuse a first execution.
    pub not_after_ms: i64,
}

/// What is known about a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeStatus {
    /// Money was taken, once.
    Charged {
        /// The provider's name for it.
        provider_id: String,
    },
    /// The provider said no, for good.
    Declined {
        /// The provider's code.
        code: String,
    },
    /// Not known yet. Never to be read as "not charged"; ask again with the same operation.
    Pending {
        /// What was seen, for the operator.
        reason: String,
        /// When asking again makes sense.
        retry_after_ms: i64,
    },
    /// The provider's window is over and its permanent look-up shows no charge. No proof that there is none: close it, or
    /// ask a person.
    Lapsed {
        /// What was seen, for the operator.
        reason: String,
    },
}

/// Why the gateway did not try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeRefusal {
    /// The checkout was closed before this arrived.
    Closed,
    /// The same id came with another amount, token or time: a bug in the caller.
    IdReused,
    /// `not_after_ms` lies further ahead than the provider is known to remember keys (CO-8): a wrong setting.
    WindowTooLong,
}

impl Operation for Charge {
    const NAME: &'static str = "payments.charge";
    const FAMILY: Family = Family::Payments;
    const WHY: &'static str = "money: a repeat must not charge twice";
    const ATTEMPT_MS: u64 = 4_000;
    type Reply = ChargeStatus;
    type Refusal = ChargeRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self {
            operation: example_operation(),
            amount: Money::gbp(1299),
            token: PaymentToken("tok_ok".to_owned()),
            not_after_ms: 1_790_000_000_000,
        }
    }
}
