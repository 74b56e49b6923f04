//! A sessions node as a process of its own.

use clap::Parser;

#[derive(Parser)]
#[command(name = "sessions", version, about = "Accounts, logins and sessions")]
struct Cli {
    #[command(flatten)]
    options: sessions::Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    sessions::run(Cli::parse().options).await
}
