//! Reads for customers and operators.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotFound, Order};
use crate::{
    AtLeastOnce, Family, Money, Operation, OperationId, PrincipalId, catalogue::example_operation, sessions::Never,
};

/// One checkout that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionItem {
    /// Which; also the provider's key and reference.
    pub operation: OperationId,
    /// Why it came here.
    pub reason: String,
    /// How much is at stake.
    pub amount: Money,
    /// Unix milliseconds when the checkout was opened.
    pub created_at_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
}

/// Lists the needs-attention queue, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Attention {
    const NAME: &'static str = "orders.attention";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a read";
    type Reply = Vec<AttentionItem>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { limit: 20 }
    }
}

/// Reads one order of a principal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// Whose.
    pub principal: PrincipalId,
    /// Which.
    pub order: OperationId,
}

impl Operation for Get {
    const NAME: &'static str = "orders.get";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a read";
    type Reply = Order;
    type Refusal = NotFound;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { principal: PrincipalId(Uuid::from_u128(7)), order: example_operation() }
    }
}

/// One page of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderPage {
    /// Newest first, without declined and refused ones.
    pub items: Vec<Order>,
    /// Cursor of the next page: the last order's id; none on the last page.
    pub next: Option<OperationId>,
}

/// Lists a principal's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Whose.
    pub principal: PrincipalId,
    /// Cursor of an earlier page.
    pub after: Option<OperationId>,
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for List {
    const NAME: &'static str = "orders.list";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a read";
    type Reply = OrderPage;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { principal: PrincipalId(Uuid::from_u128(7)), after: None, limit: 20 }
    }
}
