//! Operations of the orders family: the one row per checkout that any logic node can drive to its end.
//!
//! The row's state changes only by compare-and-set. A driver's lease (database clock) is for liveness alone: should two
//! drive one checkout, both send the same ids to the same ledgers and the second write to the row touches nothing.
//!
//! Here are the types they share; the operations follow a checkout's life: `claims` (find, open), `leases` (take,
//! heartbeat, postpone, nudge, due), `ends` (complete, refuse), `outbox` (events, ack), `attention` (attention, inspect,
//! resolve, flag), `reads` (get, list).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CartId, Money, OpId, OperationId, PrincipalId, Sku, payments::PaymentToken};

mod attention;
mod claims;
mod ends;
mod leases;
mod outbox;
mod reads;

pub use attention::{
    Action, ActionRecord, AttemptRecord, Attention, AttentionDetail, AttentionItem, AttentionKind, Flag, Inspect,
    NOTE_CHARS_MAX, NoItem, Resolve, ResolveRefusal,
};
pub use claims::{Find, Found, KeyReused, Open, OpenRefusal, Opened};
pub use ends::{Complete, Refuse, RefuseReason};
pub use leases::{Due, Heartbeat, Nudge, Postpone, Take, Taken};
pub use outbox::{Ack, Event, EventKind, Events};
pub use reads::{Get, List, OrderPage};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Open: being driven, or waiting for its next try.
    Accepted,
    /// Open: the machine has no proof either way and a person decides.
    NeedsAttention,
    /// Paid and recorded.
    Completed,
    /// The provider said no.
    Declined,
    /// Out of stock, or closed without a charge.
    Refused,
    /// Paid and paid back.
    Refunded,
}

/// One line of an order, frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which product.
    pub sku: Sku,
    /// Its title then.
    pub title: String,
    /// Pieces.
    pub quantity: u32,
    /// Price of one piece then.
    pub unit_price: Money,
    /// Quantity times price.
    pub line_total: Money,
}

/// Where the parcel goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who receives it.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Further line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// Town.
    pub city: String,
    /// Postcode.
    pub postcode: String,
    /// Country.
    pub country: String,
}

/// An order as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Also the operation's id.
    pub id: OperationId,
    /// Where it stands.
    pub state: OrderState,
    /// What was bought.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// Where it goes.
    pub address: Option<Address>,
    /// Unix milliseconds by the database's clock.
    pub created_at_ms: i64,
}

/// What a checkout fixed before anything happened; every later step works from this alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What is bought, at which prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// Where it goes.
    pub address: Option<Address>,
    /// The cart it came from.
    pub cart: CartId,
    /// The cart's epoch then.
    pub epoch: u64,
    /// The cart operations that are bought: claimed, so that two checkouts cannot buy one line (IK-15).
    pub ops: Vec<OpId>,
}

/// A checkout's definite answer, stored with the row: every repeat of the key gets exactly this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Paid.
    Completed(Order),
    /// The provider said no.
    Declined {
        /// The order that came to nothing.
        order: OperationId,
        /// The provider's code.
        code: String,
    },
    /// Too few pieces.
    OutOfStock {
        /// The order that came to nothing.
        order: OperationId,
        /// Of this product.
        sku: Sku,
        /// So many were left.
        available: u32,
    },
    /// Closed without a charge, because its time was over or by a person.
    Closed {
        /// The order that came to nothing.
        order: OperationId,
        /// Whether it is proved that nothing was charged: nothing can have reached the provider. False if a person said so.
        proven: bool,
    },
}

/// A checkout that is not over, with all a driver needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCheckout {
    /// Its id.
    pub operation: OperationId,
    /// Whose.
    pub principal: PrincipalId,
    /// What was fixed.
    pub snapshot: Snapshot,
    /// How it is paid.
    pub payment: PaymentToken,
    /// Unix milliseconds after which the provider must refuse a first execution.
    pub not_after_ms: i64,
    /// How often it was put off.
    pub attempts: u32,
}

/// Who drives: one random id for each attempt, so that a node which lost a lease cannot mistake it for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Driver(pub Uuid);

/// No such checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotFound {
    /// Unknown, or somebody else's: deliberately one answer.
    NotFound,
}

pub(crate) fn example_driver() -> Driver {
    Driver(Uuid::from_u128(9))
}
