//! Shapes that several resources share. The public API has types of its own, apart from the contract between the tiers,
//! so that the inside can change without breaking a client.

use contract::{Currency, orders};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of money.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Money {
    /// Minor units: pence.
    #[schema(example = 1299)]
    amount_minor: i64,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "GBP")]
    currency: Currency,
}

impl From<contract::Money> for Money {
    fn from(money: contract::Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}

impl From<Money> for contract::Money {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}

/// One product of a cart or an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    #[schema(example = "emma")]
    sku: String,
    title: String,
    quantity: u32,
    unit_price: Money,
    /// Quantity times price.
    line_total: Money,
}

impl From<orders::OrderLine> for Line {
    fn from(line: orders::OrderLine) -> Self {
        Self {
            sku: line.sku.into(),
            title: line.title,
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            line_total: line.line_total.into(),
        }
    }
}

/// A problem document (RFC 9457). Documentation only: `crate::problem` writes them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Problem {
    /// Names the problem; links to its description.
    #[schema(example = "/docs/problems#total-changed")]
    r#type: String,
    title: String,
    status: u16,
    /// What is wrong with this very request.
    detail: String,
    /// Checkout only: which operation; also the order's id.
    operation_ref: Option<String>,
    /// Checkout only: where it stands.
    operation_state: Option<String>,
    /// Checkout only: whether another try may use a new key.
    safe_new_key: Option<bool>,
}
