//! Buying, and the orders it makes.

use serde::{Deserialize, Serialize};

use crate::{
    AtLeastOnce, ExactlyOnce, Family, Fingerprint, Money, Operation, OperationId, SessionId,
    orders::{Address, Answer, Order, OrderPage, OrderState},
    payments::PaymentToken,
    sessions::NoSession,
};

/// Buys what is in the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkout {
    /// Whose cart; the client's key is the request id.
    pub session: SessionId,
    /// Of the public request: method, route and canonical body.
    pub fingerprint: Fingerprint,
    /// How it is paid.
    pub payment: PaymentToken,
    /// What the customer saw and agreed to.
    pub expected_total: Money,
    /// Where it goes.
    pub address: Option<Address>,
}

/// What is known about a checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutReply {
    /// It is over: the stored answer.
    Ended {
        /// The same for every repeat.
        answer: Answer,
        /// Whether this is a repeat.
        replayed: bool,
    },
    /// It is not over; the shop goes on with it whether or not anybody asks again.
    Pending {
        /// Which order to look at.
        order: OperationId,
        /// Where it stands.
        state: OrderState,
    },
}

/// Why a checkout was not begun (or, for the last three, not joined).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutRefusal {
    /// No live session.
    Unauthenticated,
    /// Orders are kept at another site, which cannot be reached from this one. This request began nothing and left the cart
    /// as it was; what an earlier one with this key began cannot be seen from here.
    HomeUnreachable {
        /// That site.
        site: String,
    },
    /// There is nothing to buy.
    CartEmpty,
    /// Prices or cart changed since the customer looked. The key is unused.
    TotalChanged {
        /// The total now.
        total: Money,
    },
    /// So many checkouts wait for the payment provider that this one would not be paid in time. The key is unused.
    PaymentsBusy {
        /// When trying again makes sense, in milliseconds.
        retry_after_ms: u32,
    },
    /// The same key came with another request.
    KeyReused,
    /// Another checkout is buying, or has bought, these lines.
    CartClaimed {
        /// That checkout.
        order: OperationId,
    },
    /// It ended so long ago that its answer is kept no more; look at the order (IK-12).
    ResultExpired {
        /// Which order to look at.
        order: OperationId,
        /// Where it stands.
        state: OrderState,
    },
    /// The same request is being worked on: ask again.
    InProgress {
        /// Which order to look at.
        order: OperationId,
    },
}

impl Operation for Checkout {
    const NAME: &'static str = "shop.checkout";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "money and scarce goods: one key, one order, one charge";
    const ATTEMPT_MS: u64 = 6_500;
    type Reply = CheckoutReply;
    type Refusal = CheckoutRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self {
            session: SessionId::of_token("example"),
            fingerprint: Fingerprint::of(b"example"),
            payment: PaymentToken("tok_ok".to_owned()),
            expected_total: Money::gbp(1299),
            address: None,
        }
    }
}

/// Lists the caller's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// Whose.
    pub session: SessionId,
    /// Cursor of an earlier page.
    pub after: Option<OperationId>,
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Orders {
    const NAME: &'static str = "shop.orders";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = OrderPage;
    type Refusal = NoSession;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example"), after: None, limit: 20 }
    }
}

/// Shows one of the caller's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShowOrder {
    /// Whose.
    pub session: SessionId,
    /// Which.
    pub order: OperationId,
}

/// Why no order was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowOrderRefusal {
    /// No live session.
    Unauthenticated,
    /// Unknown, or somebody else's.
    NotFound,
}

impl Operation for ShowOrder {
    const NAME: &'static str = "shop.order";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Order;
    type Refusal = ShowOrderRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example"), order: crate::catalogue::example_operation() }
    }
}
