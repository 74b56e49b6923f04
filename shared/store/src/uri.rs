//! A store is chosen by URI, so that configuration and not code decides where data lives.

use std::{fmt, path::PathBuf, str::FromStr};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUri {
    /// `memory://`: in the node, replicated between the nodes of its family.
    Memory,
    /// `sqlite://path`: one file, shared by the nodes of a family on one machine.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`: a server, shared by the nodes of all machines.
    Postgres(PostgresUri),
}

/// The address of a PostgreSQL database. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUri(String);

impl PostgresUri {
    /// The whole of it; not for logs.
    #[must_use]
    pub fn with_password(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.0.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')?.0.split_once(':'));
        match password {
            Some((_, password)) => f.write_str(&self.0.replacen(&format!(":{password}@"), ":***@", 1)),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A URI that names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no store URI; write memory://, sqlite:///path/to/file.db or \
         postgres://user:password@host:5432/database"
)]
pub struct StoreUriError(String);

impl FromStr for StoreUri {
    type Err = StoreUriError;

    fn from_str(uri: &str) -> Result<Self, StoreUriError> {
        match uri.split_once("://") {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            // Read as a whole by the driver when it is opened; here only what tells it from a slip of the pen.
            Some(("postgres" | "postgresql", rest)) if rest.contains('/') && !rest.starts_with('/') => {
                Ok(Self::Postgres(PostgresUri(uri.to_owned())))
            }
            _ => Err(StoreUriError(PostgresUri(uri.to_owned()).to_string())),
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(uri) => uri.fmt(f),
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
        for bad in ["", "orders.db", "sqlite://", "memory://x", "mysql://host/db", "postgres://host"] {
            assert!(bad.parse::<StoreUri>().unwrap_err().to_string().contains(bad));
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (uri, shown) in [
            ("postgres://shop:s3cret@db:5432/shop", "postgres://shop:***@db:5432/shop"),
            ("postgres://shop@db/shop", "postgres://shop@db/shop"),
            ("postgresql://db/shop?sslmode=disable", "postgresql://db/shop?sslmode=disable"),
        ] {
            let uri: StoreUri = uri.parse().unwrap();
            assert_eq!(uri.to_string(), shown);
            assert!(!format!("{uri:?}").contains("s3cret"));
        }
        let bad = "mysql://shop:s3cret@db/shop".parse::<StoreUri>().unwrap_err();
        assert!(!format!("{bad} {bad:?}").contains("s3cret"));
    }
}
