//! The payments node as a program of its own; `trestle node payments` is the same.

use std::process::ExitCode;

use clap::Parser;

/// The gateway to the payment provider.
#[derive(Parser)]
#[command(name = "payments", version)]
struct Cli {
    #[command(flatten)]
    options: payments::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(payments::run(Cli::parse().options)).await
}
