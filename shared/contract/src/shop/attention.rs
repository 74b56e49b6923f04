//! What operators do: look at what waits for a person, decide, reconcile. And what the provider says unasked.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    AtLeastOnce, ExactlyOnce, Family, Money, Operation, OperationId,
    catalogue::example_operation,
    orders::{AttentionDetail, AttentionItem, NoItem, OrderState},
    payments::ChargeRecord,
    sessions::Never,
};

/// Lists what waits for a person, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attention {
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Attention {
    const NAME: &'static str = "shop.attention";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Vec<AttentionItem>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { limit: 20 }
    }
}

/// All that is known about an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// The orders family's record.
    pub detail: AttentionDetail,
    /// The payments family's record, if there is one.
    pub charge: Option<ChargeRecord>,
    /// What that proves, and what not, in sentences.
    pub proven: Vec<String>,
}

/// Shows one item, or any checkout by its id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspect {
    /// The item's or the checkout's id.
    pub id: Uuid,
}

impl Operation for Inspect {
    const NAME: &'static str = "shop.inspect";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Inspected;
    type Refusal = NoItem;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { id: example_operation().0 }
    }
}

/// What a person wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Try again now.
    Retry,
    /// Money was taken: record the order.
    Charged {
        /// The provider's name for the charge.
        provider_id: String,
    },
    /// No money was taken: close the checkout and give the stock back.
    NotCharged,
    /// Pay the money back.
    Refund,
}

/// Does what a person decided: at the owners of charge, stock and order, each step keyed, and on record with who and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolve {
    /// Which item; for a refund also any completed order.
    pub id: Uuid,
    /// What to do.
    pub decision: Decision,
    /// Who decided, 1 to 500 characters.
    pub operator: String,
    /// Why, 1 to 500 characters.
    pub note: String,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveRefusal {
    /// No such item.
    NoItem,
    /// The item is not where this makes sense; the text says where it is and what can be done.
    NotNow(String),
    /// The request id stands for another decision.
    IdReused,
}

impl Operation for Resolve {
    const NAME: &'static str = "shop.resolve";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a person's decision about money counts once";
    const ATTEMPT_MS: u64 = 6_500;
    /// Where the checkout stands now, if there is one.
    type Reply = Option<OrderState>;
    type Refusal = ResolveRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        let (operator, note) = ("ada".to_owned(), "seen in the provider's console".to_owned());
        Self { id: example_operation().0, decision: Decision::Refund, operator, note }
    }
}

/// Compares the provider's ledger with ours now, as a logic node does once a day, and puts differences into the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reconcile {}

impl Operation for Reconcile {
    const NAME: &'static str = "shop.reconcile";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a difference found twice makes one item";
    const ATTEMPT_MS: u64 = 35_000;
    /// How many differences there are, at most 1,000.
    type Reply = u32;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}

/// The provider says, unasked, that it has made a charge. The frontend has checked the signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderEvent {
    /// The checkout that key and reference name.
    pub operation: OperationId,
    /// The provider's name for the charge.
    pub provider_id: String,
    /// How much.
    pub amount: Money,
}

impl Operation for ProviderEvent {
    const NAME: &'static str = "shop.provider_event";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the first decision about a charge wins: copies and reordering are harmless";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation(), provider_id: "ch_1".to_owned(), amount: Money::gbp(1299) }
    }
}
