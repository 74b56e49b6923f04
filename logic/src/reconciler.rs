//! Reconciliation: what the provider has on record against what we have, both ways; each difference waits for a person
//! (CO-19). Every logic node does it, about once a day: a difference found twice makes one item, and a day on which a
//! node was down is another node's day too.

use std::time::Duration;

use contract::{CallError, NoKey, orders::Flag, payments, sessions::Never};
use futures_util::future::join_all;
use rpc::{Scope, TraceContext};

use crate::{App, operations::done_before};

/// Most differences of one round; what is beyond them the next round finds.
const DIFFERENCES_MAX: u32 = 1_000;
/// Differences recorded at once.
const AT_ONCE: usize = 16;
/// Longest pause before a node's first round.
const FIRST_WITHIN: Duration = Duration::from_secs(600);
/// Bound of one round.
const ROUND_WITHIN: Duration = Duration::from_secs(45);

/// Compares every so often until the node ends.
pub(crate) async fn run(app: App, every: Duration) {
    // Spread, so that nodes started together do not all read the ledger at once.
    let mut pause = jitter(&app, every.min(FIRST_WITHIN));
    while app.node.tasks.pause(pause).await {
        let scope = Scope::new(ROUND_WITHIN, TraceContext::start(&app.node.seams));
        match scope.run(compare(&app)).await {
            Ok(0) => tracing::info!("the provider's ledger and ours agree"),
            Ok(differences) => tracing::warn!(differences, "the provider's ledger and ours differ"),
            Err(error) => tracing::warn!(%error, "the provider's ledger could not be compared with ours"),
        }
        pause = every + jitter(&app, every / 10);
    }
}

fn jitter(app: &App, at_most: Duration) -> Duration {
    Duration::from_millis(app.node.seams.below(u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX)))
}

/// One round; how many differences there are.
pub(crate) async fn compare(app: &App) -> Result<u32, CallError<Never>> {
    let differences = app.payments.call(&payments::Reconcile { limit: DIFFERENCES_MAX }, NoKey).await?;
    for part in differences.chunks(AT_ONCE) {
        let flagged = join_all(part.iter().map(async |difference| {
            let payments::Mismatch { id, operation, reason, amount } = difference.clone();
            app.orders.call(&Flag { id, operation, reason, amount }, NoKey).await
        }));
        flagged.await.into_iter().collect::<Result<Vec<()>, _>>().map_err(done_before)?;
    }
    Ok(u32::try_from(differences.len()).unwrap_or(u32::MAX))
}
