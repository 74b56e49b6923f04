//! A carts node as a process of its own.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "carts", version, about = "Carts that merge")]
struct Cli {
    #[command(flatten)]
    options: carts::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(carts::run(Cli::parse().options)).await
}
