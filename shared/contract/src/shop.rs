//! Operations of the logic family: what a frontend asks of the shop. Each names the session; logic finds out who it is.

use serde::{Deserialize, Serialize};

use crate::{
    AtLeastOnce, AtMostOnce, CartId, ExactlyOnce, Family, Fingerprint, Money, Operation, OperationId, PrincipalId,
    RequestId, SessionId, Sku,
    catalogue::{ListRefusal, Product, ProductPage, example_sku},
    orders::{Address, Answer, NotFound, Order, OrderLine, OrderPage, OrderState},
    payments::PaymentToken,
    session::{Account, Session},
    sessions::{LoginRefusal, Never, NoSession, Password, RegisterRefusal},
};

/// A cart with titles and prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartView {
    /// Which cart.
    pub id: CartId,
    /// In order of sku. Products that are no longer sold are left out.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
}

/// Lists products.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Products {
    /// Words that title or creator must contain; empty for all.
    pub query: String,
    /// The exact category; none for all.
    pub category: Option<String>,
    /// Cursor of an earlier page.
    pub after: Option<String>,
    /// 1 to 100.
    pub limit: u32,
}

impl Operation for Products {
    const NAME: &'static str = "shop.products";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = ProductPage;
    type Refusal = ListRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { query: String::new(), category: None, after: None, limit: 20 }
    }
}

/// The categories and how many products each has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {}

impl Operation for Categories {
    const NAME: &'static str = "shop.categories";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Vec<(String, u32)>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}

/// Shows one product.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowProduct {
    /// Which.
    pub sku: Sku,
}

impl Operation for ShowProduct {
    const NAME: &'static str = "shop.product";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Product;
    type Refusal = NotFound;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { sku: example_sku() }
    }
}

/// Counts a look at a product's page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Viewed {
    /// Which.
    pub sku: Sku,
}

impl Operation for Viewed {
    const NAME: &'static str = "shop.viewed";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "page statistics: losing one costs nothing, waiting does";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtMostOnce;

    fn example() -> Self {
        Self { sku: example_sku() }
    }
}

/// Makes an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Names this registration.
    pub request: RequestId,
    /// The account's id, minted by the edge (UUIDv7).
    pub account: PrincipalId,
    /// Address, lower case, checked at the edge.
    pub email: String,
    /// The password in clear.
    pub password: Password,
}

impl Operation for Register {
    const NAME: &'static str = "shop.register";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the request id makes a repeat find its own account";
    const ATTEMPT_MS: u64 = 4_500;
    type Reply = Account;
    type Refusal = RegisterRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            request: example_request(),
            account: PrincipalId(uuid::Uuid::from_u128(7)),
            email: "ada@example.org".to_owned(),
            password: Password("correct horse".to_owned()),
        }
    }
}

/// Logs in. The guest's cart, if any, merges into the account's, and the guest's session ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The new session: the hash of a token that the edge has just minted.
    pub session: SessionId,
    /// Address, lower case.
    pub email: String,
    /// The password in clear.
    pub password: Password,
    /// The session the customer had until now.
    pub guest: Option<SessionId>,
}

impl Operation for Login {
    const NAME: &'static str = "shop.login";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the token's hash names the session, so a repeat gives the same session";
    const ATTEMPT_MS: u64 = 4_500;
    type Reply = Session;
    type Refusal = LoginRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            session: SessionId::of_token("example"),
            email: "ada@example.org".to_owned(),
            password: Password("correct horse".to_owned()),
            guest: None,
        }
    }
}

/// Opens an anonymous session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The new session: the hash of a token that the edge has just minted.
    pub session: SessionId,
    /// Its principal, minted by the edge too (UUIDv7).
    pub principal: PrincipalId,
}

impl Operation for OpenSession {
    const NAME: &'static str = "shop.open_session";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "caller-minted ids make a repeat the same session";
    type Reply = Session;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example"), principal: PrincipalId(uuid::Uuid::from_u128(7)) }
    }
}

/// Who is this?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhoAmI {
    /// The session.
    pub session: SessionId,
}

impl Operation for WhoAmI {
    const NAME: &'static str = "shop.session";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Session;
    type Refusal = NoSession;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example") }
    }
}

/// Logs out everywhere this token is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// The session.
    pub session: SessionId,
}

impl Operation for Logout {
    const NAME: &'static str = "shop.logout";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "revocation wins every merge, so repeating it ends in the same state";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example") }
    }
}

/// Shows the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowCart {
    /// Whose.
    pub session: SessionId,
}

impl Operation for ShowCart {
    const NAME: &'static str = "shop.cart";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = CartView;
    type Refusal = NoSession;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example") }
    }
}

/// Why a cart was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeRefusal {
    /// No live session.
    Unauthenticated,
    /// No such product.
    UnknownSku,
    /// The cart has taken its bound of changes.
    CartFull,
}

/// Adds pieces of a product to the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddToCart {
    /// Whose.
    pub session: SessionId,
    /// Names this change; with the cart's id it makes the dot.
    pub request: RequestId,
    /// Which product.
    pub sku: Sku,
    /// 1 to [`crate::cart::QUANTITY_MAX`].
    pub quantity: u32,
}

impl Operation for AddToCart {
    const NAME: &'static str = "shop.add_to_cart";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the request id is the dot, so a repeat counts once without a ledger";
    type Reply = CartView;
    type Refusal = ChangeRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let session = SessionId::of_token("example");
        Self { session, request: example_request(), sku: example_sku(), quantity: 1 }
    }
}

/// Sets how many pieces of a product are in the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLine {
    /// Whose.
    pub session: SessionId,
    /// Names this change.
    pub request: RequestId,
    /// Which product.
    pub sku: Sku,
    /// 1 to [`crate::cart::QUANTITY_MAX`].
    pub quantity: u32,
}

impl Operation for SetLine {
    const NAME: &'static str = "shop.set_line";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the request id is the dot: the first arrival counts, a late repeat changes nothing";
    type Reply = CartView;
    type Refusal = ChangeRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let session = SessionId::of_token("example");
        Self { session, request: example_request(), sku: example_sku(), quantity: 2 }
    }
}

/// Takes a product out of the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveLine {
    /// Whose.
    pub session: SessionId,
    /// Names this change.
    pub request: RequestId,
    /// Which product.
    pub sku: Sku,
}

impl Operation for RemoveLine {
    const NAME: &'static str = "shop.remove_line";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the request id is the dot: the first arrival counts, a late repeat changes nothing";
    type Reply = CartView;
    type Refusal = ChangeRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example"), request: example_request(), sku: example_sku() }
    }
}

/// Buys what is in the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// Why a checkout was not begun (or, for the last two, not joined).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutRefusal {
    /// No live session.
    Unauthenticated,
    /// There is nothing to buy.
    CartEmpty,
    /// Prices or cart changed since the customer looked. The key is unused.
    TotalChanged {
        /// The total now.
        total: Money,
    },
    /// The same key came with another request.
    KeyReused,
    /// Another checkout is buying, or has bought, these lines.
    CartClaimed {
        /// That checkout.
        order: OperationId,
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
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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

#[expect(clippy::expect_used, reason = "the literal is a request id by the rule in ids.rs")]
pub(crate) fn example_request() -> RequestId {
    "example-request-id".parse().expect("a literal request id")
}
