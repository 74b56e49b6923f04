//! The sharing strategies (design step 6) as types, for the data sets where a wrong choice would lose money.
//!
//! Sessions and carts choose their sharing when a node starts ([`Sharing`]); orders, stock and charges may only ever be
//! shared by everything, and opening one of them on a back end that cannot uphold this does not compile (MEM-8).

use std::{fmt, str::FromStr};

/// A set of data with one sharing strategy.
pub trait DataSet {
    /// The name in configuration and documents.
    const NAME: &'static str;
    /// [`ShareNothing`], [`ShareSomething`] or [`ShareEverything`].
    type Sharing;
}

/// Each node has its own; a node's death loses it.
#[derive(Debug)]
pub enum ShareNothing {}
/// Some nodes hold copies; any fewer deaths than copies lose nothing.
#[derive(Debug)]
pub enum ShareSomething {}
/// Every node sees the same; any one surviving node serves.
#[derive(Debug)]
pub enum ShareEverything {}

/// Implemented by a storage back end, one line each, for the sharing it can uphold.
pub trait Upholds<S> {}

/// Most copies that can be asked for; beyond it *everything* is meant.
pub const COPIES_MAX: usize = 16;

/// The sharing of a data set that chooses it when a node starts. All three are one rule, a number of copies, each on a
/// node of its own; a site that may be cut off has that number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One copy: a node's death loses what it held.
    Nothing,
    /// So many copies, 1 to [`COPIES_MAX`]: any fewer deaths lose nothing.
    Something(usize),
    /// A copy on every node.
    Everything,
}

/// Text that is no sharing strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no sharing strategy; write nothing, something(N) with N copies from 1 to {COPIES_MAX}, or everything"
)]
pub struct UnknownSharing(String);

impl Sharing {
    /// Copies of one entry among so many nodes.
    #[must_use]
    pub fn copies(self, nodes: usize) -> usize {
        match self {
            Self::Nothing => nodes.min(1),
            Self::Something(copies) => nodes.min(copies),
            Self::Everything => nodes,
        }
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Something(copies) => write!(f, "something({copies})"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

impl FromStr for Sharing {
    type Err = UnknownSharing;

    fn from_str(text: &str) -> Result<Self, UnknownSharing> {
        let copies = || text.strip_prefix("something(")?.strip_suffix(')')?.parse().ok();
        match text {
            "nothing" => Ok(Self::Nothing),
            "everything" => Ok(Self::Everything),
            _ => match copies() {
                Some(copies) if (1..=COPIES_MAX).contains(&copies) => Ok(Self::Something(copies)),
                _ => Err(UnknownSharing(text.to_owned())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_read_and_written_alike_and_nonsense_is_named() {
        for (text, sharing, copies_of_5) in [
            ("nothing", Sharing::Nothing, 1),
            ("something(3)", Sharing::Something(3), 3),
            ("something(16)", Sharing::Something(16), 5),
            ("everything", Sharing::Everything, 5),
        ] {
            assert_eq!((text.parse(), sharing.to_string().as_str()), (Ok(sharing), text));
            assert_eq!(sharing.copies(5), copies_of_5);
        }
        for bad in
            ["", "something", "something()", "something(0)", "something(17)", "something(-1)", "Everything", "all"]
        {
            let error = bad.parse::<Sharing>().unwrap_err().to_string();
            assert!(error.contains(&format!("\"{bad}\"")) && error.contains("something(N)"), "{error}");
        }
    }
}
