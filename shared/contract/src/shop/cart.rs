//! The cart and its changes.

use serde::{Deserialize, Serialize};

use super::example_request;
use crate::{
    AtLeastOnce, CartId, Family, Money, Operation, RequestId, SessionId, Sku, catalogue::example_sku,
    orders::OrderLine, sessions::NoSession,
};

/// A cart with titles and prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartView {
    /// Which cart.
    pub id: CartId,
    /// In order of sku. Products that are no longer sold are left out.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
}

/// Shows the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// The request's id stands for another change of this cart.
    KeyReused,
}

/// Adds pieces of a product to the cart.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
