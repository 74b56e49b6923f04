//! The `provider` binary. Thin on purpose: the `trestle` binary runs the same library as one of its roles.

use clap::Parser;

/// Sandbox of a payment provider: charges test tokens once per idempotency key and keeps an append-only ledger.
///
/// POST /charges charges, POST /refunds gives a charge back whole, once. GET /ledger lists every charge ever made, GET
/// /refunds every refund, GET /charges/by-reference/{reference} finds one, GET /stats tells how many requests were
/// handled at once (POST /admin/reset-stats starts the counts anew). No TLS and no authentication: keep it on loopback.
///
/// Misbehaves on demand by test token: tok_ok, tok_declined, tok_slow, tok_charge_then_timeout, tok_charge_then_500,
/// tok_500_no_charge, tok_429, tok_late.
///
/// Misbehaves for every token by POST /admin/faults with any of these fields (GET shows all): black_hole (nothing is
/// answered or done), fail_rate_percent 0..100 (that share is answered 500 and not done), rate_limit (all get 429);
/// key_window_ms (older idempotency keys are forgotten; null: never), permanent_reference (default true; false: a
/// reference can be charged again and not be looked up), enforce_not_after (default true); webhook_copies 1..5 (each
/// event is sent that often), webhook_shuffle (events are held back and sent in random order), webhook_hold (none is
/// sent until it is switched off). A restart forgets these switches.
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
