//! The `frontend` binary. Thin on purpose: the `trestle` binary runs the same library as one of its roles.

use std::process::ExitCode;

use clap::Parser;

/// Tier 1 of the shop: the public JSON API and the storefront. Holds no data and no business rules; asks logic nodes.
#[derive(Debug, Parser)]
#[command(name = "frontend", version)]
struct Cli {
    #[command(flatten)]
    options: frontend::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(frontend::run(Cli::parse().options)).await
}
