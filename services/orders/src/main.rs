//! An orders node as a process of its own.

use clap::Parser;

/// Orders node of Trestle: checkout operations, orders, outbox, needs-attention queue.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    options: orders::Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    orders::run(Cli::parse().options).await
}
