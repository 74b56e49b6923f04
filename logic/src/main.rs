//! A logic node as a process of its own.

use std::process::ExitCode;

use clap::Parser;

/// Logic node of Trestle: business rules, checkouts, outbox. Holds no data.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    options: logic::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(logic::run(Cli::parse().options)).await
}
