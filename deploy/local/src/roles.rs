//! `trestle node FAMILY`: one node in this process, with the family's own options.

use clap::Subcommand;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Names the supervisor's process id to the nodes it starts.
pub(crate) const SUPERVISOR_ENV: &str = "TRESTLE_SUPERVISOR_PID";

/// The family a process plays.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Tier 1: public API, storefront pages, admission.
    Frontend(frontend::Options),
    /// Tier 2: business rules, drives checkout; holds no data.
    Logic(logic::Options),
    /// Tier 3: accounts, logins, sessions.
    Sessions(sessions::Options),
    /// Tier 3: carts that merge.
    Carts(carts::Options),
    /// Tier 3: products, prices, stock, reservations.
    Catalogue(catalogue::Options),
    /// Tier 3: checkout operations, orders, outbox.
    Orders(orders::Options),
    /// Tier 3: gateway to the payment provider.
    Payments(payments::Options),
    /// Not ours: sandbox of the third-party payment provider.
    Provider(provider::Options),
}

impl Role {
    /// Runs until SIGTERM or Ctrl-C.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Frontend(options) => frontend::run(options).await,
            Self::Logic(options) => logic::run(options).await,
            Self::Sessions(options) => sessions::run(options).await,
            Self::Carts(options) => carts::run(options).await,
            Self::Catalogue(options) => catalogue::run(options).await,
            Self::Orders(options) => orders::run(options).await,
            Self::Payments(options) => payments::run(options).await,
            Self::Provider(options) => provider::run(options).await,
        }
    }
}

/// Ties this process to the supervisor that started it, if one did: the kernel kills it when the supervisor ends, even
/// by SIGKILL. Without this a killed supervisor would leave fifteen processes that hold ports and files.
pub(crate) fn die_with_supervisor() -> anyhow::Result<()> {
    let Ok(supervisor) = std::env::var(SUPERVISOR_ENV) else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the line above, and then no signal comes.
    if getppid().map(|parent| Pid::as_raw(Some(parent)).to_string()) != Some(supervisor) {
        anyhow::bail!(
            "the supervisor that started this node is gone; unset {SUPERVISOR_ENV} to run a node without supervisor"
        );
    }
    Ok(())
}
