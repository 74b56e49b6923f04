//! Operations of the orders family: the one row per checkout that any logic node can drive to its end.
//!
//! The row's state changes only by compare-and-set. A driver's lease (database clock) is for liveness alone: should two
//! drive one checkout, both send the same ids to the same ledgers and the second write to the row touches nothing.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    AtLeastOnce, CartId, EventId, ExactlyOnce, Family, Fingerprint, Money, OpId, Operation, OperationId, PrincipalId,
    RequestId, Sku, catalogue::example_operation, payments::PaymentToken, sessions::Never,
};

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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
    /// Closed by a person, without a charge.
    Closed {
        /// The order that came to nothing.
        order: OperationId,
    },
}

/// A checkout that is not over, with all a driver needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Nothing yet.
    Nothing,
    /// A checkout that is not over.
    Open {
        /// Its id.
        operation: OperationId,
    },
    /// A checkout with this answer.
    Ended(Answer),
}

/// The key stands for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyReused {
    /// Same principal and key, other fingerprint.
    KeyReused,
}

/// Looks a key up, before cart or prices are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Whose key.
    pub principal: PrincipalId,
    /// The client's key.
    pub key: RequestId,
    /// Of the public request.
    pub fingerprint: Fingerprint,
}

impl Operation for Find {
    const NAME: &'static str = "orders.find";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a read";
    type Reply = Found;
    type Refusal = KeyReused;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            principal: PrincipalId(Uuid::from_u128(7)),
            key: crate::shop::example_request(),
            fingerprint: Fingerprint::of(b"example"),
        }
    }
}

/// Claims a key and its cart operations and freezes the snapshot. Only the winning claim's proposal is used.
///
/// The ledger row is the operation row itself, unique by (principal, key). The permit's body fingerprint is not what
/// identifies the request here, since two logic nodes may propose different snapshots for one public request; the field
/// `fingerprint` is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Whose key; the key itself is the request id.
    pub principal: PrincipalId,
    /// Of the public request.
    pub fingerprint: Fingerprint,
    /// The id, should this claim win (UUIDv7).
    pub operation: OperationId,
    /// The proposal.
    pub snapshot: Snapshot,
    /// How it is paid.
    pub payment: PaymentToken,
    /// Who drives it, should this claim win.
    pub driver: Driver,
}

/// What claiming came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// This claim won, now or when it was first sent: drive it.
    Claimed(OpenCheckout),
    /// Another claim won: see what it stands for.
    Existing(Found),
}

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenRefusal {
    /// Same principal and key, other fingerprint.
    KeyReused,
    /// Another checkout has claimed some of these cart operations.
    CartClaimed {
        /// That checkout.
        order: OperationId,
    },
}

impl Operation for Open {
    const NAME: &'static str = "orders.open";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "claims the key: of any number of first requests exactly one wins";
    type Reply = Opened;
    type Refusal = OpenRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self {
            principal: PrincipalId(Uuid::from_u128(7)),
            fingerprint: Fingerprint::of(b"example"),
            operation: example_operation(),
            snapshot: example_snapshot(),
            payment: PaymentToken("tok_ok".to_owned()),
            driver: example_driver(),
        }
    }
}

/// Takes a checkout whose driver's lease has lapsed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Which.
    pub operation: OperationId,
    /// Who wants it.
    pub driver: Driver,
}

/// What taking came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It is yours for the lease's time.
    Yours(OpenCheckout),
    /// Somebody drives it, or it waits for its next try.
    Busy {
        /// Where it stands.
        state: OrderState,
        /// Whether a driver holds it now.
        driven: bool,
    },
    /// It is over.
    Ended(Answer),
}

/// No such checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotFound {
    /// Unknown, or somebody else's: deliberately one answer.
    NotFound,
}

impl Operation for Take {
    const NAME: &'static str = "orders.take";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a lease: taking it again by the same driver gives the same lease";
    type Reply = Taken;
    type Refusal = NotFound;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), driver: example_driver() }
    }
}

/// Keeps a lease for another lease's time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Which.
    pub operation: OperationId,
    /// Who drives it.
    pub driver: Driver,
}

impl Operation for Heartbeat {
    const NAME: &'static str = "orders.heartbeat";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "renewing a lease twice renews it once";
    /// Whether the lease is still held.
    type Reply = bool;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), driver: example_driver() }
    }
}

/// Gives a lease back: the outcome is not known yet, and the completer tries again later.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postpone {
    /// Which.
    pub operation: OperationId,
    /// Who drove it.
    pub driver: Driver,
    /// Why, for the operator.
    pub reason: String,
    /// Earliest next try from now, 0 to 60,000.
    pub delay_ms: i64,
}

impl Operation for Postpone {
    const NAME: &'static str = "orders.postpone";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "only the lease's holder changes anything, and then holds it no more";
    type Reply = OrderState;
    type Refusal = NotFound;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let (operation, driver) = (example_operation(), example_driver());
        Self { operation, driver, reason: "provider: timeout".to_owned(), delay_ms: 250 }
    }
}

/// Records a paid order: state, stored answer and outbox in one transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// Why a checkout comes to nothing. Both are definite: the catalogue's or the provider's recorded no.
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
}

/// Ends a checkout that came to nothing: state, stored answer and outbox in one transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// Claims checkouts that nobody drives and whose next try has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// Who will drive them.
    pub driver: Driver,
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Due {
    const NAME: &'static str = "orders.due";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "leases: what a lost reply claimed comes back when the lease lapses";
    type Reply = Vec<OpenCheckout>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { driver: example_driver(), limit: 16 }
    }
}

/// One thing to be done after a checkout ended; delivered at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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

fn example_driver() -> Driver {
    Driver(Uuid::from_u128(9))
}

fn example_snapshot() -> Snapshot {
    let cart = CartId(Uuid::from_u128(1));
    let line = OrderLine {
        sku: crate::catalogue::example_sku(),
        title: "Pride and Prejudice".to_owned(),
        quantity: 1,
        unit_price: Money::gbp(1299),
        line_total: Money::gbp(1299),
    };
    Snapshot {
        lines: vec![line],
        total: Money::gbp(1299),
        address: None,
        cart,
        epoch: 0,
        ops: vec![OpId::new(cart, "example-request-id")],
    }
}
