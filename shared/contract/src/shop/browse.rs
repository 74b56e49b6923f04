//! Looking around, without a session.

use serde::{Deserialize, Serialize};

use crate::{
    AtLeastOnce, AtMostOnce, Family, Operation, Sku,
    catalogue::{ListRefusal, Product, ProductPage, example_sku},
    orders::NotFound,
    sessions::Never,
};

/// Lists products.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
