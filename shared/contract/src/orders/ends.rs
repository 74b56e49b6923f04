//! The two ends of a checkout.

use serde::{Deserialize, Serialize};

use super::{Answer, NotFound};
use crate::{ExactlyOnce, Family, Operation, OperationId, Sku, catalogue::example_operation};

/// Records a paid order: state, stored answer and outbox in one transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Complete {
    /// Which; also the request id.
    pub operation: OperationId,
    /// The provider's name for the charge.
    pub provider_id: String,
}

impl Operation for Complete {
    const NAME: &'static str = "orders.complete";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "records the order: compare-and-set, a repeat gets the stored answer";
    type Reply = Answer;
    type Refusal = NotFound;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self { operation: example_operation(), provider_id: "ch_1".to_owned() }
    }
}

/// Why a checkout comes to nothing. All are definite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseReason {
    /// Too few pieces.
    OutOfStock {
        /// Of this product.
        sku: Sku,
        /// So many were left.
        available: u32,
    },
    /// The provider said no.
    Declined {
        /// Its code.
        code: String,
    },
    /// Its time was over, and `payments.close` has proved that nothing can have reached the provider.
    Closed,
}

/// Ends a checkout that came to nothing: state, stored answer and outbox in one transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refuse {
    /// Which; also the request id.
    pub operation: OperationId,
    /// Why.
    pub reason: RefuseReason,
}

impl Operation for Refuse {
    const NAME: &'static str = "orders.refuse";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "ends the checkout: compare-and-set, a repeat gets the stored answer";
    type Reply = Answer;
    type Refusal = NotFound;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        let reason = RefuseReason::Declined { code: "card_declined".to_owned() };
        Self { operation: example_operation(), reason }
    }
}
