//! The catalogue node as a program of its own; `trestle node catalogue` is the same.

use clap::Parser;

/// Serves products, prices, stock and reservations.
#[derive(Parser)]
#[command(name = "catalogue", version)]
struct Cli {
    #[command(flatten)]
    options: catalogue::Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    catalogue::run(Cli::parse().options).await
}
