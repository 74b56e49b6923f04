//! The seam to the third party: what we ask, and what its answers can prove. Tests put a provider of their own here.

use std::fmt;

use async_trait::async_trait;
use contract::{Money, OperationId, payments::Charge};

mod answers;
mod http;
mod pages;

pub use http::HttpProvider;

/// What the provider's answer to a charge proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderAnswer {
    /// Money was taken, by this attempt or an earlier one.
    Charged {
        /// The provider's name for it.
        provider_id: String,
    },
    /// Nothing was taken under this key, and nothing ever will be.
    Declined {
        /// The provider's code.
        code: String,
    },
    /// This attempt did nothing, and sending the same again is no use. Says nothing about attempts before it.
    Rejected {
        /// The provider's code.
        code: String,
    },
    /// This attempt did nothing. Says nothing about other attempts.
    NotExecuted {
        /// For the operator.
        reason: String,
        /// When the provider wants to be asked again.
        retry_after_ms: Option<i64>,
    },
    /// Nothing is proved: it may have happened, or not. But the provider has answered, and works on this attempt no more.
    Undecided {
        /// For the operator.
        reason: String,
    },
    /// Nothing is proved: it may have happened, may still happen, or not.
    Unknown {
        /// For the operator.
        reason: String,
    },
}

impl ProviderAnswer {
    /// The label in metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Charged { .. } => "charged",
            Self::Declined { .. } => "declined",
            Self::Rejected { .. } => "rejected",
            Self::NotExecuted { .. } => "not_executed",
            Self::Undecided { .. } => "undecided",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// What a look-up by the permanent reference proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Money was taken.
    Charged {
        /// The provider's name for it.
        provider_id: String,
    },
    /// No charge so far. No proof that none comes: a request may still be on its way.
    NotFound,
    /// Nothing; or no permanent look-up is offered.
    Unknown {
        /// For the operator.
        reason: String,
    },
}

/// What the provider's answer to a refund proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAnswer {
    /// Money was paid back, by this attempt or an earlier one.
    Refunded {
        /// The provider's name for it.
        refund_id: String,
    },
    /// The provider will never pay it back.
    Refused {
        /// Its code.
        code: String,
    },
    /// Nothing is proved for good, but the provider works on this attempt no more.
    Undecided {
        /// For the operator.
        reason: String,
    },
    /// Nothing is proved: it may have happened, may still happen, or not.
    Unknown {
        /// For the operator.
        reason: String,
    },
}

/// One line of the provider's ledger, of charges or of refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// The merchant's reference: the checkout, if it is ours.
    pub reference: String,
    /// How much.
    pub amount: Money,
    /// When, in Unix milliseconds by the provider's clock.
    pub time_ms: i64,
}

/// All that the provider says it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Charges.
    pub charges: Vec<LedgerLine>,
    /// Refunds.
    pub refunds: Vec<LedgerLine>,
}

/// The third party. One call each, never resent here, no time limit of its own: the gateway sets it.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    /// Asks for the charge, with the operation as key and as reference.
    async fn charge(&self, charge: &Charge) -> ProviderAnswer;

    /// Looks the charge up by its reference.
    async fn find(&self, charge: &Charge) -> Found;

    /// Asks for the whole charge to be paid back, with `refund-` and the operation as key.
    async fn refund(&self, operation: OperationId, amount: Money) -> RefundAnswer {
        let _ = amount;
        RefundAnswer::Undecided { reason: format!("this provider does not pay back, {operation} neither") }
    }

    /// Reads the whole ledger. An error says why it could not be read.
    async fn ledger(&self) -> Result<Ledger, String> {
        Err("this provider shows no ledger".to_owned())
    }
}
