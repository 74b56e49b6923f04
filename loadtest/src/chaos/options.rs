//! The command line of `chaos`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::cli::{parse_duration, parse_weighted_token};

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// kill -9 of any node, never the last ready one of its family; the provider excepted.
    Kill,
    /// SIGSTOP for 1 to 8 seconds, then SIGCONT.
    Pause,
    /// The payment provider answers nothing, fails, or limits the rate for some seconds.
    Provider,
    /// The database restarts, by --database-restart.
    Database,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Provider => "provider",
            Self::Database => "database",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ChaosOptions {
    /// How long there are faults; customers go on some seconds longer.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// Customers at work at the same time, 1 to 500.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) customers: u32,
    /// Seed of all choices: of the faults, their times and the customers' tricks [default: a new one, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The program `trestle` [default: the one beside this program].
    #[arg(long, value_name = "PATH")]
    pub(crate) trestle: Option<PathBuf>,
    /// Data folder of a running shop to torment; without it a shop of its own is started, and its folder is removed if
    /// everything held and kept otherwise.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// First of the 20 ports of the shop that is started.
    #[arg(long, default_value_t = 14_100, conflicts_with = "data", value_parser = clap::value_parser!(u16).range(1..=65_500))]
    pub(crate) port: u16,
    /// PostgreSQL database that the shop keeps its tables in, as postgres://user@host:port/name; without it SQLite files
    /// in the data folder. A shop that is started is started with it.
    #[arg(long, value_name = "URI", env = "TRESTLE_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Command (for sh) that restarts the database and returns when it is up; adds the fault `database`.
    #[arg(long, value_name = "CMD", requires = "database")]
    pub(crate) database_restart: Option<String>,
    /// Kinds of faults, separated by commas [default: a subset that the seed picks].
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) faults: Vec<Kind>,
    /// Time between two faults, on average.
    #[arg(long, default_value = "700ms", value_parser = parse_duration)]
    pub(crate) kill_every: Duration,
    /// Payment tokens with weights [default: 70 ok, 20 whose reply gets lost, 10 others].
    #[arg(long, value_delimiter = ',', value_name = "TOKEN=WEIGHT", value_parser = parse_weighted_token)]
    pub(crate) tokens: Vec<(String, u32)>,
    /// How long the control phase without faults lasts.
    #[arg(long, default_value = "8s", value_parser = parse_duration)]
    pub(crate) control: Duration,
    /// Writes the verdict as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the timeline as a page to this file: faults as bars over what the customers saw each second.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) timeline: Option<PathBuf>,
}

impl ChaosOptions {
    /// One fifth loses its reply after the charge.
    pub(crate) fn token_mix(&self) -> Vec<(String, u32)> {
        if !self.tokens.is_empty() {
            return self.tokens.clone();
        }
        let mix = [
            ("tok_ok", 70),
            ("tok_charge_then_timeout", 10),
            ("tok_charge_then_500", 10),
            ("tok_declined", 4),
            ("tok_500_no_charge", 2),
            ("tok_429", 2),
            ("tok_slow", 1),
            ("tok_late", 1),
        ];
        mix.into_iter().map(|(token, weight)| (token.to_owned(), weight)).collect()
    }
}
