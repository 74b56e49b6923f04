//! What is to be done after a checkout ended, delivered at least once.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Order;
use crate::{AtLeastOnce, CartId, EventId, Family, OpId, Operation, OperationId, PrincipalId, sessions::Never};

/// One thing to be done after a checkout ended; delivered at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Consumers deduplicate by it.
    pub id: EventId,
    /// Of which checkout.
    pub operation: OperationId,
    /// What to do.
    pub kind: EventKind,
}

/// What to do after a checkout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Reserved pieces are sold.
    SettleStock,
    /// Reserved pieces go back.
    ReleaseStock,
    /// The bought operations leave the cart.
    ClearCart {
        /// Which cart.
        cart: CartId,
        /// The epoch that was frozen.
        epoch: u64,
        /// What was bought.
        ops: Vec<OpId>,
    },
    /// The customer gets a receipt.
    SendReceipt {
        /// Whose order.
        principal: PrincipalId,
        /// What it shows.
        order: Order,
    },
}

/// Claims events that wait to be delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Events {
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Events {
    const NAME: &'static str = "orders.events";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "leases: what a lost reply claimed comes back when the lease lapses";
    type Reply = Vec<Event>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { limit: 50 }
    }
}

/// These events were delivered: exactly these, never "all up to" (CO-24).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ack {
    /// At most 100.
    pub ids: Vec<EventId>,
}

impl Operation for Ack {
    const NAME: &'static str = "orders.ack";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "marking an event delivered twice marks it once";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { ids: vec![EventId(Uuid::from_u128(3))] }
    }
}
