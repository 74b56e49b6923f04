//! The `provider` binary. Thin on purpose: the `trestle` binary runs the same library as one of its roles.

use clap::Parser;

/// Sandbox of a payment provider: charges test tokens once per idempotency key and keeps an append-only ledger.
///
/// Misbehaves on demand, by test token (tok_ok, tok_declined, tok_slow, tok_charge_then_timeout, tok_charge_then_500,
/// tok_500_no_charge, tok_429, tok_late) or for every token by POST /admin/faults. GET /ledger lists every charge ever
/// made, GET /stats tells how many charges were seen at once. No TLS and no authentication: keep it on loopback.
#[derive(Debug, Parser)]
#[command(name = "provider", version)]
struct Cli {
    #[command(flatten)]
    options: provider::Options,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    provider::run(Cli::parse().options).await
}
