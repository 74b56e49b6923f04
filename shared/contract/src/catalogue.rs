//! Operations of the catalogue family: products, prices, stock and its reservations.

use serde::{Deserialize, Serialize};

use crate::{AtLeastOnce, AtMostOnce, ExactlyOnce, Family, Money, Operation, OperationId, Sku, sessions::Never};

/// A product on sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its stable name.
    pub sku: Sku,
    /// Title.
    pub title: String,
    /// Author or maker.
    pub creator: String,
    /// Shelf.
    pub category: String,
    /// A sentence or two.
    pub description: String,
    /// Price of one piece.
    pub price: Money,
    /// Pieces that can be sold now.
    pub available: u32,
}

/// One page of products.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductPage {
    /// The products, in the shop's order.
    pub items: Vec<Product>,
    /// Cursor of the next page; none on the last.
    pub next: Option<String>,
}

/// Lists products.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List {
    /// Words that title or creator must contain; empty for all.
    pub query: String,
    /// The exact category; none for all.
    pub category: Option<String>,
    /// Cursor of an earlier page.
    pub after: Option<String>,
    /// 1 to 100.
    pub limit: u32,
}

/// Why nothing was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListRefusal {
    /// The cursor is none of ours.
    BadCursor,
}

impl Operation for List {
    const NAME: &'static str = "catalogue.list";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "a read";
    type Reply = ProductPage;
    type Refusal = ListRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { query: "austen".to_owned(), category: None, after: None, limit: 20 }
    }
}

/// The categories and how many products each has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Categories {}

impl Operation for Categories {
    const NAME: &'static str = "catalogue.categories";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "a read";
    type Reply = Vec<(String, u32)>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}

/// Reads some products at once; unknown ones are left out of the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Products {
    /// At most [`PRODUCTS_MAX`].
    pub skus: Vec<Sku>,
}

/// Most products in one read, reservation or order: as many as a cart can hold, so that no cart is too large to buy.
pub const PRODUCTS_MAX: usize = crate::cart::OPS_PER_EPOCH_MAX;

impl Operation for Products {
    const NAME: &'static str = "catalogue.products";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "a read";
    type Reply = Vec<Product>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { skus: vec![example_sku()] }
    }
}

/// Pieces of one product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pieces {
    /// Which product.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
}

/// Takes pieces out of stock for one checkout: all of them or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reserve {
    /// The checkout; also the request id.
    pub operation: OperationId,
    /// What it wants, at most [`PRODUCTS_MAX`] products.
    pub lines: Vec<Pieces>,
}

/// Why nothing was reserved. Remembered: a repeat is refused the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReserveRefusal {
    /// Too few pieces.
    OutOfStock {
        /// Of this product.
        sku: Sku,
        /// So many are left.
        available: u32,
    },
    /// The checkout ended before this arrived; a late reservation would hold stock for ever.
    Ended,
    /// The same id came with other lines: a bug in the caller.
    IdReused,
}

impl Operation for Reserve {
    const NAME: &'static str = "catalogue.reserve";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "scarce goods: a repeat must not take twice";
    type Reply = ();
    type Refusal = ReserveRefusal;
    type Retry = ExactlyOnce;

    fn example() -> Self {
        Self { operation: example_operation(), lines: vec![Pieces { sku: example_sku(), quantity: 1 }] }
    }
}

/// Puts the reserved pieces of a refused checkout back, and keeps a later reservation out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The checkout.
    pub operation: OperationId,
}

/// Why a reservation was neither released nor settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndRefusal {
    /// It already ended the other way: a bug in the caller, for an operator to see.
    EndedOtherwise,
    /// There is nothing to settle.
    NotReserved,
}

impl Operation for Release {
    const NAME: &'static str = "catalogue.release";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "from the outbox; the reservation's state makes a repeat harmless";
    type Reply = ();
    type Refusal = EndRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operation: example_operation() }
    }
}

/// Turns the reserved pieces of completed checkouts into sold ones: of many at once, since under load many wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settle {
    /// The checkouts, at most [`SETTLE_MAX`]. One that cannot be settled holds up no other.
    pub operations: Vec<OperationId>,
}

/// Most checkouts settled by one call.
pub const SETTLE_MAX: usize = 100;

impl Operation for Settle {
    const NAME: &'static str = "catalogue.settle";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "from the outbox; the reservation's state makes a repeat harmless";
    /// The ones that were not settled, and why; the others are.
    type Reply = Vec<(OperationId, EndRefusal)>;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { operations: vec![example_operation()] }
    }
}

/// Counts a look at a product's page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Viewed {
    /// Which product.
    pub sku: Sku,
}

impl Operation for Viewed {
    const NAME: &'static str = "catalogue.viewed";
    const FAMILY: Family = Family::Catalogue;
    const WHY: &'static str = "page statistics: losing one costs nothing, waiting does";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtMostOnce;

    fn example() -> Self {
        Self { sku: example_sku() }
    }
}

#[expect(clippy::expect_used, reason = "the literal is a sku by the rule in ids.rs")]
pub(crate) fn example_sku() -> Sku {
    "pride-and-prejudice".parse().expect("a literal sku")
}

pub(crate) fn example_operation() -> OperationId {
    OperationId(uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001))
}
