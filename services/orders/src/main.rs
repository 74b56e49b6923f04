//! An orders node as a process of its own.

use std::process::ExitCode;

use clap::Parser;

/// Orders node of Trestle: checkout operations, orders, outbox, needs-attention queue.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    options: orders::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(orders::run(Cli::parse().options)).await
}
