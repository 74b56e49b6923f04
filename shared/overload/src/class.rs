//! How much a request matters when not all of them can be served. Assigned at the frontend, by method and path alone, and
//! only lowered further in (O3).

use std::{fmt, str::FromStr};

/// The classes, most important first: the order in which a queue is emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Ends what was begun, and so frees something: a payment's result, an order's state, log out.
    Emergency,
    /// Sells: checkout.
    Critical,
    /// Leads to a sale: session, cart.
    #[default]
    Normal,
    /// Looks around: browse, search.
    Sheddable,
}

impl Class {
    /// All, most important first.
    pub const ALL: [Self; 4] = [Self::Emergency, Self::Critical, Self::Normal, Self::Sheddable];

    /// Its name on the wire and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Sheddable => "sheddable",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No class has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchClass;

impl FromStr for Class {
    type Err = NoSuchClass;

    fn from_str(text: &str) -> Result<Self, NoSuchClass> {
        Self::ALL.into_iter().find(|class| class.name() == text).ok_or(NoSuchClass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_the_important_come_first() {
        assert!(Class::ALL.is_sorted());
        assert!(Class::ALL.iter().all(|class| class.name().parse() == Ok(*class)));
        assert_eq!("urgent".parse::<Class>(), Err(NoSuchClass));
    }
}
