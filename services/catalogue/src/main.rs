//! The catalogue node as a program of its own; `trestle node catalogue` is the same.

use std::process::ExitCode;

use clap::Parser;

/// Serves products, prices, stock and reservations.
#[derive(Parser)]
#[command(name = "catalogue", version)]
struct Cli {
    #[command(flatten)]
    options: catalogue::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(catalogue::run(Cli::parse().options)).await
}
