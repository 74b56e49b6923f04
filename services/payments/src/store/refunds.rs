//! What must be remembered of money that goes back.

use std::fmt;

use async_trait::async_trait;
use contract::{Money, Once, OperationId, payments::Evidence};
use store::StoreError;

/// How a refund stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundStanding {
    /// Nothing definite is known.
    Open,
    /// Money was paid back, once.
    Refunded {
        /// The provider's name for it.
        refund_id: String,
    },
    /// The provider said no, for good.
    Refused {
        /// Its code.
        code: String,
    },
    /// Another amount was charged, or asked for before.
    OtherAmount,
    /// The charge itself is open: nothing can be paid back yet.
    ChargeOpen,
}

/// Whether a refund may be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginRefund {
    /// Yes, and the intent is on record.
    Send,
    /// No (never [`RefundStanding::Open`]).
    Stands(RefundStanding),
}

/// What became of a refund, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundDecision {
    /// Money was paid back.
    Refunded {
        /// The provider's name for it.
        refund_id: String,
    },
    /// The provider said no.
    Refused {
        /// Its code.
        code: String,
    },
}

impl From<RefundDecision> for RefundStanding {
    fn from(decision: RefundDecision) -> Self {
        match decision {
            RefundDecision::Refunded { refund_id } => Self::Refunded { refund_id },
            RefundDecision::Refused { code } => Self::Refused { code },
        }
    }
}

/// Refunds. Each method is one transaction.
#[async_trait]
pub trait RefundStore: fmt::Debug + Send + Sync {
    /// Records the intent before the first byte goes out. A charge that is declined, closed or not on record may be paid
    /// back too: the provider may have made it all the same, and knows.
    ///
    /// # Errors
    /// [`StoreError`] of the back end; nothing may be sent then.
    async fn begin_refund(
        &self,
        once: &Once,
        operation: OperationId,
        amount: Money,
        evidence: &Evidence,
    ) -> Result<BeginRefund, StoreError>;

    /// Records what became of it. The first decision wins; returned is how it stands now.
    ///
    /// # Errors
    /// [`StoreError`] of the back end. Money has gone back or not all the same.
    async fn decide_refund(
        &self,
        once: &Once,
        operation: OperationId,
        decision: &RefundDecision,
    ) -> Result<RefundStanding, StoreError>;
}

/// How a first refund must be answered, from the charge's row: its outcome (none if open) and amount (none on a mark that
/// closes what never came); no row at all counts as that mark.
pub(crate) fn may_refund(
    charge: Option<(Option<super::Outcome>, Option<Money>)>,
    amount: Money,
) -> Result<(), RefundStanding> {
    match charge {
        Some((None, _)) => Err(RefundStanding::ChargeOpen),
        Some((_, Some(charged))) if charged != amount => Err(RefundStanding::OtherAmount),
        _ => Ok(()),
    }
}
