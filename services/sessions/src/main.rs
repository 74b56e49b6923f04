//! A sessions node as a process of its own.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "sessions", version, about = "Accounts, logins and sessions")]
struct Cli {
    #[command(flatten)]
    options: sessions::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    runtime::run_to_exit(sessions::run(Cli::parse().options)).await
}
