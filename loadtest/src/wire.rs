//! The public API and the provider's ledger as JSON, written down independently of the shop.
//!
//! Only the fields that customers and the audit use; unknown fields are ignored, so that the shop may add some.

use serde::{Deserialize, Serialize};

/// An amount in minor units (pence) of a currency (ISO 4217).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Money {
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} minor units {}", self.amount_minor, self.currency)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    pub(crate) token: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) category: String,
    /// Number in stock.
    pub(crate) available: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ProductPage {
    pub(crate) items: Vec<Product>,
    #[serde(default)]
    pub(crate) next: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    pub(crate) sku: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price: Money,
    pub(crate) line_total: Money,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Cart {
    pub(crate) lines: Vec<Line>,
    pub(crate) total: Money,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) total: Money,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OrderPage {
    pub(crate) items: Vec<Order>,
    #[serde(default)]
    pub(crate) next: Option<String>,
}

/// `application/problem+json`, read leniently: an intermediary's error page has none of it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    pub(crate) operation_ref: Option<String>,
}

impl Problem {
    pub(crate) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The short name of the problem: `code`, or the last part of `type`; empty if there is neither.
    pub(crate) fn name(&self) -> &str {
        if let Some(code) = &self.code {
            return code;
        }
        let name = self.kind.as_deref().and_then(|kind| kind.rsplit(['/', ':', '#']).next());
        name.filter(|name| *name != "blank").unwrap_or("")
    }
}

/// One charge of the provider's ledger, the outside truth about money.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) key: String,
    pub(crate) reference: String,
    pub(crate) amount: Money,
    /// RFC 3339; shown to the reader only, never compared with another clock.
    pub(crate) time: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) charges: Vec<Charge>,
}

/// `GET /stats` of the provider.
#[derive(Debug, Deserialize)]
pub(crate) struct ProviderStats {
    pub(crate) max_in_flight: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_named_by_its_code_or_by_the_end_of_its_type() {
        let name = |body: &str| Problem::parse(body.as_bytes()).name().to_owned();
        assert_eq!(name(r#"{"type":"https://shop.example/problems/total-changed"}"#), "total-changed");
        assert_eq!(name(r#"{"type":"urn:problem:out-of-stock"}"#), "out-of-stock");
        assert_eq!(name(r#"{"type":"about:blank","code":"overloaded"}"#), "overloaded");
        assert_eq!(name(r#"{"type":"about:blank"}"#), "");
        assert_eq!(name("<html>bad gateway</html>"), "");
    }
}
