//! A store is chosen by URI, so that configuration and not code decides where data lives.

use std::{fmt, path::PathBuf, str::FromStr};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUri {
    /// `memory://`: in the node, replicated between the nodes of its family.
    Memory,
    /// `sqlite://path`: one file, shared by the nodes of a family on one machine.
    Sqlite(PathBuf),
}

/// A URI that names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no store URI; this version knows memory:// and sqlite:///path/to/file.db")]
pub struct StoreUriError(String);

impl FromStr for StoreUri {
    type Err = StoreUriError;

    fn from_str(uri: &str) -> Result<Self, StoreUriError> {
        match uri.split_once("://") {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(StoreUriError(uri.to_owned())),
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_and_nonsense_is_named() {
        for good in ["memory://", "sqlite://orders.db", "sqlite:///var/lib/trestle/orders.db"] {
            assert_eq!(good.parse::<StoreUri>().unwrap().to_string(), good);
        }
        for bad in ["", "orders.db", "sqlite://", "memory://x", "mysql://host/db"] {
            assert!(bad.parse::<StoreUri>().unwrap_err().to_string().contains(bad));
        }
    }
}
