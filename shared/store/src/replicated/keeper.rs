//! What runs in the background: copying before the node is ready, repairing what peers missed, sweeping what is over.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use runtime::Readiness;
use tokio::time::{Instant, sleep};

use super::{ACK_WITHIN, Join, PeerError, Replicated, peers::within};

/// How often peers are sent what they missed, and how often we look whether we stood still.
pub(super) const ROUND: Duration = Duration::from_millis(250);
/// A round that took longer than this means that the process stood still, and peers went on without it.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How long one page or one batch may take.
const BATCH_WITHIN: Duration = Duration::from_secs(1);
/// How long a peer may be silent before we copy without it.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Pause before a silent peer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Pause before a peer that was not copied at the start is asked again.
const MISSED_AGAIN: Duration = Duration::from_secs(1);
/// Most batches to one peer in one round, so that one peer's walk does not hold up the others' repair.
const BATCHES_PER_ROUND: usize = 200;
/// How often entries that are over are dropped, and how many are looked at under one lock.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_STEP: usize = 10_000;

impl<V: Join> Replicated<V> {
    pub(super) async fn keep_fresh(self, readiness: Readiness) {
        loop {
            let fresh = async {
                let missed = self.refill().await;
                readiness.set_ready();
                self.catch_up(missed).await;
                std::future::pending::<()>().await;
            };
            // A copy during which we stood still is worth nothing: what we missed may lie before where it had got to.
            tokio::select! {
                biased;
                () = fresh => {}
                gap_ms = stood_still() => {
                    readiness.set_starting();
                    tracing::warn!(gap_ms, "this node stood still; copying from its peers before it is ready again");
                }
            }
        }
    }

    pub(super) async fn keep_repaired(self) {
        loop {
            sleep(ROUND).await;
            self.repair().await;
        }
    }

    pub(super) async fn keep_swept(self) {
        loop {
            sleep(SWEEP_EVERY).await;
            self.sweep().await;
        }
    }

    /// Copies every peer's entries; returns the peers that could not be copied. A peer that is down is skipped, for it
    /// most likely holds nothing. One that stays silent is waited for, and skipped with a warning in the end, because a
    /// node that never gets ready helps nobody.
    pub async fn refill(&self) -> Vec<String> {
        let started = Instant::now();
        let peers = self.0.peers.list();
        let missed = self.copy(peers.clone()).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(entries = self.len(), peers = peers.len(), took_ms, "copied from peers");
        missed
    }

    /// Copies what was missed, once those peers answer: one that refused a connection may have lived all the same.
    async fn catch_up(&self, mut missed: Vec<String>) {
        while !missed.is_empty() {
            sleep(MISSED_AGAIN).await;
            let members = self.0.peers.list();
            missed.retain(|peer| members.contains(peer));
            missed = self.copy(missed).await;
        }
    }

    async fn copy(&self, peers: Vec<String>) -> Vec<String> {
        self.0.missed.store(peers.len(), Ordering::Relaxed);
        let copied = join_all(peers.iter().map(|peer| self.refill_from(peer))).await;
        let missed: Vec<_> =
            peers.into_iter().zip(copied).filter_map(|(peer, copied)| (!copied).then_some(peer)).collect();
        self.0.missed.store(missed.len(), Ordering::Relaxed);
        missed
    }

    /// Whether everything was copied.
    async fn refill_from(&self, peer: &str) -> bool {
        let (mut after, mut heard) = (None, Instant::now());
        loop {
            match within(BATCH_WITHIN, self.0.peers.page(peer, after.clone())).await {
                Ok(page) => {
                    let Some((last, _)) = page.last() else { return true };
                    after = Some(last.clone());
                    heard = Instant::now();
                    if let Err(error) = self.merge(page) {
                        tracing::warn!(peer, %error, "cannot hold all that this peer has");
                    }
                }
                Err(PeerError::Down(reason)) => {
                    tracing::debug!(peer, reason, "not copying from this peer yet: it is down");
                    return false;
                }
                Err(PeerError::Silent(reason)) => {
                    if heard.elapsed() >= SILENCE_MAX {
                        tracing::warn!(peer, reason, "not copying from this peer yet: it stays silent");
                        return false;
                    }
                    sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    /// One round: sends each peer what it has yet to acknowledge.
    pub async fn repair(&self) {
        let peers = self.lock().begin_round(&self.0.peers.list());
        join_all(peers.iter().map(|peer| self.repair_at(peer))).await;
    }

    async fn repair_at(&self, peer: &str) {
        for _ in 0..BATCHES_PER_ROUND {
            let Some(batch) = self.lock().next_batch(peer) else { return };
            // A probe is as impatient as a write, or a peer behind a silent network would look merely down.
            let patience = if batch.is_probe { ACK_WITHIN } else { BATCH_WITHIN };
            let sent = within(patience, self.0.peers.merge(peer, &batch.entries)).await;
            self.lock().settle_batch(peer, &batch, &sent);
            if sent.is_err() {
                return;
            }
        }
    }

    /// Drops all entries that are over.
    pub async fn sweep(&self) {
        let now_ms = self.0.seams.now_ms();
        let mut after = None;
        loop {
            after = self.lock().sweep(after.as_ref(), SWEEP_STEP, now_ms);
            if after.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Resolves when the process was not run for longer than [`STOOD_STILL`], with that time in milliseconds.
async fn stood_still() -> u64 {
    loop {
        let before = Instant::now();
        sleep(ROUND).await;
        if before.elapsed() > STOOD_STILL {
            return u64::try_from(before.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }
}
