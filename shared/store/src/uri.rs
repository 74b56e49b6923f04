//! A store is chosen by URI, so that configuration and not code decides where data lives.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::redis::RedisUri;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUri {
    /// `memory://`: in the node, replicated between the nodes of its family.
    Memory,
    /// `sqlite://path`: one file, shared by the nodes of a family on one machine.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`: a server, shared by the nodes of all machines.
    Postgres(PostgresUri),
    /// `redis://...`, `redis+sentinel://...` or `redis+cluster://...`: outside the nodes, for values that merge.
    Redis(RedisUri),
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
        f.write_str(&hidden(&self.0))
    }
}

/// A URI without its password.
fn hidden(uri: &str) -> String {
    let password = uri.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')?.0.split_once(':'));
    match password {
        Some((_, password)) => uri.replacen(&format!(":{password}@"), ":***@", 1),
        None => uri.to_owned(),
    }
}

impl fmt::Debug for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A URI that names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUriError {
    /// Of no kind that there is.
    #[error(
        "\"{0}\" is no store URI; write memory://, sqlite:///path/to/file.db, \
         postgres://user:password@host:5432/database, redis://:password@host:6379/0, \
         redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379,host:6379"
    )]
    Unknown(String),
    /// A Redis whose address cannot be used: the URI and the reason.
    #[error("\"{0}\": {1}")]
    Redis(String, String),
}

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
            Some(("redis" | "redis+sentinel" | "redis+cluster", _)) => {
                uri.parse().map(Self::Redis).map_err(|reason| StoreUriError::Redis(hidden(uri), reason))
            }
            _ => Err(StoreUriError::Unknown(hidden(uri))),
        }
    }
}

impl fmt::Display for StoreUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(uri) => uri.fmt(f),
            Self::Redis(uri) => uri.fmt(f),
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
        for bad in ["mysql://shop:s3cret@db/shop", "redis://:s3cret@db", "redis+cluster://shop:s3cret@db:1/x?tls=1"] {
            let bad = bad.parse::<StoreUri>().unwrap_err();
            assert!(!format!("{bad} {bad:?}").contains("s3cret"));
        }
        let redis: StoreUri = "redis+sentinel://:s3cret@a:1/shop".parse().unwrap();
        assert!(!format!("{redis} {redis:?}").contains("s3cret"));
    }
}
