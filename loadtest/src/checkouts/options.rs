//! Options of `checkouts`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::Url;

use crate::cli::{parse_base_url, parse_duration};

#[derive(Debug, Args)]
pub(crate) struct CheckoutsOptions {
    /// Base URLs of the storefronts, separated by commas; clients are spread over them.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:8080,http://127.0.0.1:8081", value_parser = parse_base_url)]
    pub(crate) target: Vec<Url>,
    /// The PostgreSQL database that the shop runs on, as postgres://user@host:port/name. The user must be allowed to make
    /// databases: `pgbench` gets one of its own there, which is removed at the end. Stock is put on the shelf first.
    #[arg(long, value_name = "URI", env = "TRESTLE_DATABASE", hide_env_values = true, value_parser = parse_database)]
    pub(crate) database: Url,
    /// Clients at work at the same time, of each side: 1 to 512. `pgbench` needs a connection for each.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub(crate) clients: u32,
    /// Slices of each side: 1 to 100.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) slices: u32,
    /// How long a slice lasts; at most 60s.
    #[arg(long, default_value = "5s", value_parser = parse_slice)]
    pub(crate) slice: Duration,
    /// The program pgbench, beside pg_dump and psql [default: the newest in /usr/lib/postgresql].
    #[arg(long, value_name = "PATH")]
    pub(crate) pgbench: Option<PathBuf>,
    /// Allows a target or a database that is not on this machine.
    #[arg(long)]
    pub(crate) i_own_this_host: bool,
}

fn parse_database(text: &str) -> Result<Url, String> {
    let help = "write it like postgres://user@127.0.0.1:5432/shop";
    // The error says nothing of the text: there may be a password in it.
    let url = Url::parse(text).map_err(|error| format!("{error}; {help}"))?;
    let named = url.path().len() > 1 && !url.path()[1..].contains('/');
    if !matches!(url.scheme(), "postgres" | "postgresql") || url.host_str().is_none() || !named {
        return Err(help.to_owned());
    }
    Ok(url)
}

fn parse_slice(text: &str) -> Result<Duration, String> {
    let slice = parse_duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&slice) {
        return Ok(slice);
    }
    Err("a slice lasts 1s to 60s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_named_database_of_a_server_will_do() {
        assert!(parse_database("postgres://shop@127.0.0.1:5432/shop").is_ok());
        for bad in ["sqlite:///shop.db", "postgres://shop@127.0.0.1:5432", "postgres:///shop", "shop"] {
            assert!(parse_database(bad).is_err(), "{bad}");
        }
    }
}
