//! Forgets what is kept only for a time: stored answers, then keys, of checkouts that are over (IK-13). Nothing depends on
//! when it comes by: whether an answer is still told is judged when it is read.

use std::{sync::Arc, time::Duration};

use runtime::Seams;

use crate::store::OrderStore;

/// Rows of one transaction, so that no customer waits long for its end.
const BATCH: u32 = 500;
/// Batches of one round: a backlog is worked off over several rounds instead of all at once.
const BATCHES_MAX: u32 = 20;
/// Time between rounds, and as much again at random, halved: the nodes of a family do not come by together.
const EVERY_MS: u64 = 60_000;

/// Runs for ever, a round each minute or so.
pub(crate) async fn run(orders: Arc<dyn OrderStore>, seams: Seams) {
    loop {
        tokio::time::sleep(Duration::from_millis(EVERY_MS / 2 + seams.below(EVERY_MS))).await;
        round(&*orders).await;
    }
}

async fn round(orders: &dyn OrderStore) {
    for _ in 0..BATCHES_MAX {
        match orders.reap(BATCH).await {
            Ok(reaped) if reaped.answers.max(reaped.keys) == 0 => return,
            Ok(reaped) => {
                tracing::info!(answers = reaped.answers, keys = reaped.keys, "forgotten, as their time was over");
                if reaped.answers.max(reaped.keys) < u64::from(BATCH) {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the reaper comes back later");
                return;
            }
        }
    }
}
