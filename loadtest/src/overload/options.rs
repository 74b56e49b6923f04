//! The command line of `overload`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};

use crate::cli::parse_duration;

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Experiment {
    /// Offers 0.5 to 10 times the peak, with and without protection (F1, F2, F3, F11).
    Curve,
    /// Five times the peak for ten seconds, then 0.7 times: how soon all is well again (F4).
    Spike,
    /// One of four logic nodes takes ten times as long (F8).
    Slow,
    /// One of four logic nodes fails every call at once (F9).
    Failing,
    /// Every node of a service family fails: attempts per request of a customer (F5).
    Outage,
    /// Twice the capacity with checkouts as 30 % of the work: checkouts succeed (F6).
    Critical,
    /// More checkouts than the payment provider can serve: its 50 places are kept and used (F7).
    Payments,
    /// A node is killed at 70 % load: no order is lost or made twice (F10).
    Kill,
    /// Processor time of a rejection and of an accepted request, in the shop as it is (F3).
    Cost,
    /// Slow, idle, huge and half-sent requests against one storefront, while others shop.
    Hostile,
    /// All of them, one after the other.
    All,
}

impl Experiment {
    pub(crate) const EACH: [Self; 10] = [
        Self::Curve,
        Self::Spike,
        Self::Slow,
        Self::Failing,
        Self::Outage,
        Self::Critical,
        Self::Payments,
        Self::Kill,
        Self::Cost,
        Self::Hostile,
    ];
}

#[derive(Debug, Args)]
pub(crate) struct OverloadOptions {
    /// What to show.
    #[arg(required = true, value_enum, num_args = 1..)]
    pub(crate) what: Vec<Experiment>,
    /// The program `trestle` [default: the one beside this program].
    #[arg(long, value_name = "PATH")]
    pub(crate) trestle: Option<PathBuf>,
    /// First port of the shops that are started, one after the other; a shop takes 20.
    #[arg(long, default_value_t = 15_200, value_parser = clap::value_parser!(u16).range(1..=50_000))]
    pub(crate) port: u16,
    /// How long each load is offered and measured: 30s for figures that count, a few seconds for a look.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub(crate) step: Duration,
    /// Calls that a logic node works on at a time, in the model.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) slots: u32,
    /// How long it works on each, in milliseconds.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) work_ms: u32,
    /// The peak in good answers a second of two logic nodes, if it is known [default: it is searched].
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) peak: Option<f64>,
    /// A right answer later than this is late and no goodput; it is also the bound of F2.
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    pub(crate) deadline: Duration,
    /// False takes the protection away where the figures promise it, to see that they notice.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub(crate) protection: bool,
    /// Leaves out what is shown without protection, for contrast.
    #[arg(long)]
    pub(crate) no_contrast: bool,
    /// Judges although the machine does other work too; the figures are rough then, and the report says so.
    #[arg(long)]
    pub(crate) busy_machine: bool,
    /// Seed of the customers' choices [default: a new one, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Keeps the data folders of the shops.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Writes everything that was found as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes a page with the figures and the curve to this file too; it needs no network.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (1.0..=100_000.0).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 1 to 100000".to_owned())
}

impl OverloadOptions {
    /// What was asked for, each once, in the order of the list.
    pub(crate) fn experiments(&self) -> Vec<Experiment> {
        let all = self.what.contains(&Experiment::All);
        Experiment::EACH.into_iter().filter(|each| all || self.what.contains(each)).collect()
    }

    pub(crate) fn trestle(&self) -> Option<&Path> {
        self.trestle.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_positive_numbers() {
        assert_eq!(parse_rate("180.5"), Ok(180.5));
        for bad in ["0", "-1", "NaN", "many", "1e9"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
