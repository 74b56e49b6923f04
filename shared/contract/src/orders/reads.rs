//! Reads for customers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotFound, Order};
use crate::{AtLeastOnce, Family, Operation, OperationId, PrincipalId, catalogue::example_operation, sessions::Never};

/// Reads one order of a principal.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
pub struct OrderPage {
    /// Newest first, without declined and refused ones.
    pub items: Vec<Order>,
    /// Cursor of the next page: the last order's id; none on the last page.
    pub next: Option<OperationId>,
}

/// Lists a principal's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
