//! The node families (design step 1): who can be asked.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name in the certificate of a person who decides, in place of a family's.
pub const OPERATOR: &str = "operator";

/// A family of like nodes. Any node of a family can answer any call to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Tier 1: public API, page, admission. Clients reach nothing else.
    Frontend,
    /// Tier 2: business rules, no data.
    Logic,
    /// Tier 3: accounts, logins, sessions.
    Sessions,
    /// Tier 3: carts that merge.
    Carts,
    /// Tier 3: products, prices, stock, reservations.
    Catalogue,
    /// Tier 3: checkout operations, orders, outbox, needs-attention queue.
    Orders,
    /// Tier 3: gateway to the payment provider.
    Payments,
    /// Not ours: the sandbox of the payment provider.
    Provider,
}

impl Family {
    /// All families, in start order (back to front), the provider first.
    pub const ALL: [Self; 8] = [
        Self::Provider,
        Self::Payments,
        Self::Orders,
        Self::Catalogue,
        Self::Carts,
        Self::Sessions,
        Self::Logic,
        Self::Frontend,
    ];

    /// The families whose nodes have business with nodes of this one; where certificates tell who calls (mutual TLS), all
    /// others are refused. [`OPERATOR`] is a person at `trestle attention`, and no family.
    ///
    /// Nobody else may be added lightly: this list is why a frontend that was taken over cannot ask for a charge.
    #[must_use]
    pub const fn callers(self) -> &'static [&'static str] {
        match self {
            // By customers and by the provider's other customers: neither has a certificate of ours.
            Self::Frontend | Self::Provider => &[],
            Self::Logic => &["frontend", OPERATOR],
            // Copies of sessions and carts go from node to node, and a second site copies the catalogue.
            Self::Sessions => &["logic", "sessions"],
            Self::Carts => &["logic", "carts"],
            Self::Catalogue => &["logic", "catalogue"],
            Self::Orders | Self::Payments => &["logic"],
        }
    }

    /// The name used in configuration, metrics, node ids and folder names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Logic => "logic",
            Self::Sessions => "sessions",
            Self::Carts => "carts",
            Self::Catalogue => "catalogue",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Provider => "provider",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no node family.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" is no node family; expected one of frontend, logic, sessions, carts, catalogue, orders, payments, provider"
)]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|family| family.name() == text).ok_or_else(|| UnknownFamily(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_calls_past_the_tier_behind() {
        for family in Family::ALL {
            for caller in family.callers() {
                assert!(*caller == OPERATOR || caller.parse::<Family>().is_ok(), "{family}: {caller}");
            }
            let tier = |family: Family| match family {
                Family::Frontend => 1,
                Family::Logic => 2,
                _ => 3,
            };
            let callers = family.callers().iter().filter_map(|caller| caller.parse::<Family>().ok());
            let skips = |caller: Family| caller != family && tier(caller) + 1 != tier(family);
            assert_eq!(callers.into_iter().find(|caller| skips(*caller)), None, "{family}");
        }
    }
}
