//! `--database`: which database holds accounts, stock, orders and charges, read without ever showing its password.
//!
//! Arguments of a process can be read by every user of the machine, its environment only by its owner. So the nodes get
//! the URI by environment, and `trestle up` itself moves one with a password out of its own arguments.

use std::{convert::Infallible, ffi::OsString, fmt, os::unix::process::CommandExt as _, str::FromStr, time::Duration};

use anyhow::{Context as _, bail};
use contract::Family;
use reqwest::Url;
use tokio::{net::TcpStream, time::timeout};

/// The environment variable for `--database`.
pub(crate) const DATABASE_ENV: &str = "TRESTLE_DATABASE";
const OPTION: &str = "--database";
/// What to write.
const FIX: &str = "write postgres://user:password@host:5432/name, or leave it out for SQLite files in the data folder";
const DEFAULT_PORT: u16 = 5432;
/// A server that takes longer to accept a connection cannot be worked with.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A text that may contain a password: nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(String);

impl Hidden {
    /// The text itself; for the environment of a node only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for Hidden {
    /// Whether it is a URI is seen later: the parser of the command line would show what it refuses.
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Where the relational data lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// A SQLite file for each family, in the data folder.
    Files,
    /// One PostgreSQL database for all families, each with a schema of its own.
    Postgres(Postgres),
}

/// A PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Postgres {
    uri: Hidden,
    /// The URI without password and settings.
    shown: String,
    host: String,
    port: u16,
}

impl Database {
    /// Reads `--database`; without it the default.
    pub(crate) fn read(given: Option<&Hidden>) -> anyhow::Result<Self> {
        let Some(given) = given else { return Ok(Self::Files) };
        match given.expose().split_once("://") {
            Some(("postgres" | "postgresql", _)) => Postgres::read(given).map(Self::Postgres),
            Some(("sqlite", "")) => Ok(Self::Files),
            Some(("sqlite", _)) => bail!(
                "{OPTION}: SQLite needs a file for each family, which are kept in the data folder; write {OPTION} \
                 sqlite:// or leave it out, and choose the folder with --data"
            ),
            Some((scheme, _)) => bail!("{OPTION}: the shop cannot use {scheme:?} as its database; {FIX}"),
            None => bail!("{OPTION} (or {DATABASE_ENV}) is no URI; {FIX}"),
        }
    }

    /// The variable that tells a node of the family where its data is, if it must not be told by argument.
    pub(crate) fn environment(&self, family: Family) -> Option<(&'static str, Hidden)> {
        let Self::Postgres(postgres) = self else { return None };
        let name = match family {
            Family::Catalogue | Family::Orders | Family::Payments => "TRESTLE_STORE",
            Family::Sessions => "TRESTLE_ACCOUNTS",
            Family::Frontend | Family::Logic | Family::Carts | Family::Provider => return None,
        };
        Some((name, postgres.uri.clone()))
    }

    /// Fails when there is a server that cannot be reached: the nodes would say so too, but fifteen times.
    pub(crate) async fn reachable(&self) -> anyhow::Result<()> {
        let Self::Postgres(Postgres { shown, host, port, .. }) = self else { return Ok(()) };
        let reason = match timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        bail!(
            "{OPTION} {shown}: the server at {host}:{port} cannot be reached ({reason}); start it, correct the address, \
             or leave {OPTION} (and {DATABASE_ENV}) out for SQLite files in the data folder"
        )
    }
}

/// For people: without a password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("SQLite files"),
            Self::Postgres(postgres) => f.write_str(&postgres.shown),
        }
    }
}

impl Postgres {
    fn read(given: &Hidden) -> anyhow::Result<Self> {
        let url = Url::parse(given.expose()).map_err(|error| {
            anyhow::anyhow!(
                "{OPTION}: the URI cannot be read ({error}); {FIX}; in a password, write : / ? # @ % as %3A %2F %3F %23 \
                 %40 %25"
            )
        })?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            bail!("{OPTION}: the URI names no server; {FIX}");
        }
        if url.fragment().is_some() {
            bail!("{OPTION}: the URI has a #, which would end it early; in a password, write it as %23");
        }
        if url.path().trim_matches('/').is_empty() {
            bail!("{OPTION}: the URI names no database of the server; {FIX}");
        }
        let port = url.port().unwrap_or(DEFAULT_PORT);
        let mut shown = url;
        shown.set_query(None);
        // Refused only for URLs without a host.
        let _ = shown.set_password(None);
        Ok(Self { uri: given.clone(), shown: shown.to_string(), host, port })
    }
}

/// Starts this program again in the same process when a password is among its arguments, with the URI in the
/// environment instead. Does nothing otherwise.
pub(crate) fn out_of_arguments(given: Option<&Hidden>) -> anyhow::Result<()> {
    let Some(given) = given.filter(|given| has_password(given)) else { return Ok(()) };
    let mut own = std::env::args_os();
    let name = own.next().unwrap_or_default();
    let Some(args) = without_option(own) else { return Ok(()) };
    let program = std::env::current_exe().context("cannot find the trestle binary itself")?;
    let error = std::process::Command::new(program).arg0(name).args(args).env(DATABASE_ENV, given.expose()).exec();
    Err(error).with_context(|| format!("cannot hide the password of {OPTION}; give the URI in {DATABASE_ENV} instead"))
}

fn has_password(given: &Hidden) -> bool {
    let url = Url::parse(given.expose());
    url.is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"))
}

/// The arguments without `--database`; nothing if it is not among them.
fn without_option(args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let (mut args, mut kept, mut found) = (args, Vec::new(), false);
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == OPTION {
            found = true;
            args.next();
        } else if text.strip_prefix(OPTION).is_some_and(|rest| rest.starts_with('=')) {
            found = true;
        } else {
            kept.push(arg);
        }
    }
    found.then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> anyhow::Result<Database> {
        Database::read(Some(&Hidden(uri.to_owned())))
    }

    #[test]
    fn a_server_is_read_and_its_password_never_shown() {
        for (uri, shown, host, port) in [
            ("postgres://shop:s3cret@db:6543/shop", "postgres://shop@db:6543/shop", "db", 6543),
            ("postgresql://shop:s3cret%40@db/shop", "postgresql://shop@db/shop", "db", 5432),
            ("postgres://[::1]/shop?password=s3cret", "postgres://[::1]/shop", "::1", 5432),
            ("postgres://shop@127.0.0.1/shop", "postgres://shop@127.0.0.1/shop", "127.0.0.1", 5432),
        ] {
            let database = read(uri).unwrap();
            assert_eq!(database.to_string(), shown);
            let Database::Postgres(postgres) = &database else { panic!("{database}") };
            assert_eq!((postgres.host.as_str(), postgres.port), (host, port), "{uri}");
            assert!(!format!("{database:?}").contains("s3cret"), "{database:?}");
            assert_eq!(has_password(&postgres.uri), uri.contains("s3cret"), "{uri}");
        }
    }

    #[test]
    fn without_a_server_there_are_files() {
        assert_eq!(Database::read(None).unwrap(), Database::Files);
        assert_eq!(read("sqlite://").unwrap(), Database::Files);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_setting_and_the_fix() {
        for (uri, expected) in [
            ("mysql://shop:s3cret@db/shop", "cannot use \"mysql\""),
            ("shop:s3cret@db/shop", "is no URI"),
            ("", "TRESTLE_DATABASE"),
            ("sqlite:///s3cret/shop.db", "--data"),
            ("postgres://shop:s3cret@db", "names no database"),
            ("postgres://shop:s3cret@db/", "names no database"),
            ("postgres:///shop?password=s3cret", "names no server"),
            ("postgres://shop:s3cret@db:x/shop", "invalid port"),
            ("postgres://shop:s3/cret@db/shop", "%2F"),
            ("postgres://db/shop#s3cret", "%23"),
        ] {
            let error = format!("{:#}", read(uri).unwrap_err());
            assert!(error.starts_with("--database") && error.contains(expected), "{uri}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_option_is_taken_out_of_the_arguments_in_both_spellings() {
        let without = |args: &[&str]| without_option(args.iter().map(OsString::from));
        let rest: Vec<OsString> = ["up", "--port", "9000"].map(OsString::from).into();
        assert_eq!(without(&["up", "--database", "postgres://x", "--port", "9000"]), Some(rest.clone()));
        assert_eq!(without(&["up", "--port", "9000", "--database=postgres://x"]), Some(rest));
        assert_eq!(without(&["up", "--data", "base"]), None, "it came by environment: nothing to hide");
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_reached_is_named_without_its_password() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let database = read(&format!("postgres://shop:s3cret@{address}/shop")).unwrap();
        database.reachable().await.unwrap();
        drop(listener);
        let error = database.reachable().await.unwrap_err().to_string();
        assert!(error.contains(&format!("postgres://shop@{address}/shop")) && error.contains("start it"), "{error}");
        assert!(error.contains("--database") && !error.contains("s3cret"), "{error}");
    }
}
