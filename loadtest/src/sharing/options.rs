//! The command line of `sharing`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct SharingOptions {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Kills 1, 2, ... nodes of a family at once under each strategy and counts the acknowledged operations that are gone.
    ///
    /// Exit code 99 when a strategy lost what it promises to keep: something(n) with fewer than n nodes dead, everything with
    /// one node left, or under nothing more than the dead nodes held.
    Kills(KillsOptions),
    /// Adds to carts under each strategy and store, in alternating slices; prints throughput and latency side by side.
    Costs(CostsOptions),
}

#[derive(Debug, Args)]
pub(crate) struct KillsOptions {
    #[command(flatten)]
    pub(crate) shops: ShopsOptions,
    /// Strategies, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "nothing,something(2),something(3),everything")]
    pub(crate) strategies: Vec<String>,
    /// Data sets, separated by commas: carts, sessions.
    #[arg(long, value_delimiter = ',', default_value = "carts,sessions", value_parser = ["carts", "sessions"])]
    pub(crate) data_sets: Vec<String>,
    /// Customers in each row, each with one acknowledged add: 10 to 10000.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) customers: u32,
    /// Seed of the choice of nodes [default: a new one, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Writes the table as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CostsOptions {
    #[command(flatten)]
    pub(crate) shops: ShopsOptions,
    /// Strategies on memory stores, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "nothing,something(2),something(3),everything")]
    pub(crate) strategies: Vec<String>,
    /// A Redis to compare with, as redis://host:port/db; may be given several times, for example with ?wait=1.
    #[arg(long, value_name = "URI")]
    pub(crate) redis: Vec<String>,
    /// Adds under way at a time: 1 to 64.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) concurrency: u32,
    /// Slices of each shop: 3 to 100.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..=100))]
    pub(crate) slices: u32,
}

/// The shops that are started.
#[derive(Debug, Args)]
pub(crate) struct ShopsOptions {
    /// The program `trestle` [default: the one beside this program].
    #[arg(long, value_name = "PATH")]
    pub(crate) trestle: Option<PathBuf>,
    /// First port of the first shop; each shop takes 20.
    #[arg(long, default_value_t = 14_200, value_parser = clap::value_parser!(u16).range(1..=50_000))]
    pub(crate) port: u16,
    /// Nodes of the family that is shared, 2 to 9.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=9))]
    pub(crate) nodes: u32,
}

impl ShopsOptions {
    pub(crate) fn trestle(&self) -> Option<&Path> {
        self.trestle.as_deref()
    }
}

/// How many nodes have a copy of each entry.
pub(crate) fn copies(strategy: &str, nodes: u32) -> Option<u32> {
    match strategy {
        "nothing" => Some(1),
        "everything" => Some(nodes),
        _ => {
            let number = strategy.strip_prefix("something(")?.strip_suffix(')')?.parse::<u32>().ok()?;
            (number > 0).then(|| number.min(nodes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_say_how_many_copies_there_are() {
        for (strategy, expected) in [
            ("nothing", Some(1)),
            ("something(2)", Some(2)),
            ("something(9)", Some(5)),
            ("everything", Some(5)),
            ("something(0)", None),
            ("something", None),
            ("", None),
        ] {
            assert_eq!(copies(strategy, 5), expected, "{strategy}");
        }
    }
}
