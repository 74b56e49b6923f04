//! `loadtest`: customers from outside.
//!
//! It knows the shop only by its public API and the payment provider only by its ledger, and depends on no crate of
//! this workspace: a checker that shared code with the shop would share its mistakes.

mod adds;
mod audit;
mod chaos;
mod checker;
mod checkouts;
mod cli;
mod client;
mod cluster;
mod door;
mod journey;
mod measure;
mod metrics;
mod open;
mod overload;
mod quick;
mod report;
mod rolling;
mod run;
mod seams;
mod sharing;
mod threshold;
mod wire;
mod yardstick;

use std::process::ExitCode;

use clap::Parser;

/// How a run ended; the numbers are the exit codes and are documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything held.
    Pass = 0,
    /// The run says more about the load generator than about the shop.
    Invalid = 2,
    /// The audit or a threshold failed, or there was nothing to judge.
    Failed = 99,
}

/// A run that could not start or mean anything; exit code 2, like a usage error.
#[derive(Debug)]
pub(crate) struct InvalidRun(pub(crate) String);

impl std::fmt::Display for InvalidRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRun {}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Quick(options) => quick::run(options).await,
        cli::Command::Run(options) => run::run(*options).await,
        cli::Command::Chaos(options) => chaos::run(*options).await,
        cli::Command::Rolling(options) => rolling::run(options).await,
        cli::Command::Yardstick(options) => yardstick::run(options).await,
        cli::Command::Checkouts(options) => checkouts::run(options).await,
        cli::Command::Sharing(options) => sharing::run(options).await,
        cli::Command::Overload(options) => overload::run(*options).await,
        cli::Command::NaiveNode(options) => yardstick::naive::serve(options).await,
    };
    match result {
        Ok(end) => ExitCode::from(end as u8),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<InvalidRun>() { 2 } else { 1 })
        }
    }
}
