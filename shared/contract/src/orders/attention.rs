//! The needs-attention queue: what the machine cannot decide, and what a person did about it (CO-20 to CO-23).
//!
//! An item is an open checkout without proof, an event that cannot be delivered, or a difference between the provider's
//! ledger and ours. Its id is the checkout's, the event's or the difference's own. Nothing leaves the queue by itself
//! except a checkout that gets its proof after all.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OrderState;
use crate::{
    AtLeastOnce, ExactlyOnce, Family, Money, Operation, OperationId, catalogue::example_operation, sessions::Never,
};

/// Longest name of an operator or note, in characters.
pub const NOTE_CHARS_MAX: usize = 500;

/// What waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// A checkout that may or may not have been paid.
    Checkout,
    /// An event that could not be delivered.
    Event,
    /// The provider's ledger and ours differ.
    Mismatch,
}

/// One thing that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionItem {
    /// What to name when acting on it.
    pub id: Uuid,
    /// What it is.
    pub kind: AttentionKind,
    /// Of which checkout; also the provider's key and reference. None for a charge with a reference that is not ours.
    pub operation: Option<OperationId>,
    /// Why it came here.
    pub reason: String,
    /// How much is at stake, if that can be read.
    pub amount: Option<Money>,
    /// Unix milliseconds when it came here.
    pub since_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
}

/// Lists the queue, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// One try that came to nothing definite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Unix milliseconds by the database's clock.
    pub at_ms: i64,
    /// The step and the raw answer.
    pub reason: String,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// Unix milliseconds by the database's clock.
    pub at_ms: i64,
    /// What.
    pub action: Action,
    /// Who.
    pub operator: String,
    /// Why: the evidence.
    pub note: String,
}

/// All that is on record about an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionDetail {
    /// The item; of a checkout also when it waits for nobody (any more).
    pub item: AttentionItem,
    /// Where the checkout stands, if there is one.
    pub state: Option<OrderState>,
    /// Unix milliseconds when the checkout was opened.
    pub created_at_ms: Option<i64>,
    /// Unix milliseconds after which the provider executes nothing for the first time.
    pub not_after_ms: Option<i64>,
    /// The last 50 tries, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// What people did, oldest first.
    pub actions: Vec<ActionRecord>,
}

/// Shows one item, or any checkout by its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspect {
    /// The item's or the checkout's id.
    pub id: Uuid,
}

/// No such item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoItem {
    /// Neither a checkout, nor an event, nor a difference.
    NoItem,
}

impl Operation for Inspect {
    const NAME: &'static str = "orders.inspect";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a read";
    type Reply = AttentionDetail;
    type Refusal = NoItem;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { id: example_operation().0 }
    }
}

/// What a person decided, with its proof where one is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Try again now. A mismatch leaves the queue, and comes back if the next reconciliation finds it again. With any other
    /// action a mismatch is closed for good, whatever is found later; its checkout is left as it stands.
    Retry,
    /// Money was taken: the order is recorded.
    Charged {
        /// The provider's name for the charge.
        provider_id: String,
    },
    /// No money was taken and none will be: the checkout is closed.
    NotCharged,
    /// Money was taken and has been paid back.
    Refunded {
        /// The provider's name for the refund.
        refund_id: String,
    },
}

/// Records what a person decided, with its effect, in one transaction. What must happen at the other owners first (closing
/// the charge, paying back) the logic family has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolve {
    /// Which item.
    pub id: Uuid,
    /// What was decided.
    pub action: Action,
    /// Who decided, 1 to 500 characters.
    pub operator: String,
    /// Why, 1 to 500 characters.
    pub note: String,
}

/// Why nothing was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveRefusal {
    /// No such item.
    NoItem,
    /// The item is not where this action makes sense: `charged` and `not_charged` need an open checkout, `refunded` a
    /// completed one, `retry` an item that waits for a person. A mismatch takes any action once, an event only `retry`.
    WrongState(Option<OrderState>),
    /// The request id stands for another decision.
    IdReused,
}

impl Operation for Resolve {
    const NAME: &'static str = "orders.resolve";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "a person's decision counts once, and is on record with its effect";
    /// Where the checkout stands now, if there is one.
    type Reply = Option<OrderState>;
    type Refusal = ResolveRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        let (operator, note) = ("ada".to_owned(), "seen in the provider's console".to_owned());
        Self { id: example_operation().0, action: Action::Charged { provider_id: "ch_1".to_owned() }, operator, note }
    }
}

/// Puts a difference between the provider's ledger and ours into the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flag {
    /// A function of what differs, so that finding it again adds nothing, also after a person closed it.
    pub id: Uuid,
    /// Of which checkout, if the reference is one of ours.
    pub operation: Option<OperationId>,
    /// What differs.
    pub reason: String,
    /// How much is at stake.
    pub amount: Option<Money>,
}

impl Operation for Flag {
    const NAME: &'static str = "orders.flag";
    const FAMILY: Family = Family::Orders;
    const WHY: &'static str = "the same difference makes one item however often it is found";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let reason = "the provider has a charge that is not recorded".to_owned();
        Self { id: Uuid::from_u128(11), operation: Some(example_operation()), reason, amount: Some(Money::gbp(1299)) }
    }
}
