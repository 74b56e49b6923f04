//! What runs in the background: copying before the node is ready, repairing what peers missed, comparing digests
//! (`compare.rs`), sweeping what is over.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use runtime::{Readiness, Seams};
use tokio::time::{Instant, sleep};

use super::{ACK_WITHIN, Join, PeerError, Replicated, peers::within};

/// How often peers are sent what they missed, and how often we look whether we stood still.
pub(super) const ROUND: Duration = Duration::from_millis(250);
/// A round that took longer than this means that the process stood still, and peers went on without it.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How long one page, one batch or one digest may take.
pub(super) const BATCH_WITHIN: Duration = Duration::from_secs(1);
/// How long a peer may be silent, or know other members, before we go on without its copy.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Pause before such a peer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Pause before a peer that was not copied at the start is asked again.
const MISSED_AGAIN: Duration = Duration::from_secs(1);
/// Most batches to one peer in one round.
const BATCHES_PER_ROUND: usize = 200;
/// How often entries that are over are dropped, and how many are looked at under one lock.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_STEP: usize = 10_000;

impl<V: Join> Replicated<V> {
    pub(super) async fn keep_fresh(self, readiness: Readiness) {
        loop {
            self.lock().is_filling = true;
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
                gap_ms = stood_still(&self.0.seams) => {
                    readiness.set_starting();
                    tracing::warn!(gap_ms, "this node stood still; copying from its peers before it is ready again");
                    self.came_back(gap_ms);
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

    /// Copies what is ours from every node of our site; returns those that could not be copied. A peer that is down is
    /// skipped, for it most likely holds nothing. One that stays silent is waited for, and skipped with a warning in the
    /// end, because a node that never gets ready helps nobody. What only another site has comes by digests: a node does
    /// not wait for a link that may be cut.
    pub async fn refill(&self) -> Vec<String> {
        let started = Instant::now();
        let peers = self.near_peers();
        let missed = self.copy(peers.clone()).await;
        self.is_refilled(missed.len() < peers.len());
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(entries = self.len(), peers = peers.len(), took_ms, "copied from peers");
        missed
    }

    fn near_peers(&self) -> Vec<String> {
        let mut state = self.lock();
        state.align(&self.0.peers.list());
        state.peers.iter().filter(|(_, peer)| peer.is_near).map(|(name, _)| name.clone()).collect()
    }

    /// Copies what was missed, once those peers answer: one that refused a connection may have lived all the same.
    async fn catch_up(&self, mut missed: Vec<String>) {
        while !missed.is_empty() {
            sleep(MISSED_AGAIN).await;
            let members = self.near_peers();
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
            let view = self.lock().ring.view();
            match within(BATCH_WITHIN, self.0.peers.page(peer, view, &[], after.clone())).await {
                Ok(page) => {
                    let Some((last, ..)) = page.last() else { return true };
                    after = Some(last.clone());
                    heard = Instant::now();
                    self.take(peer, &page);
                }
                Err(PeerError::Down(reason)) => {
                    tracing::debug!(peer, reason, "not copying from this peer yet: it is down");
                    return false;
                }
                Err(error) => {
                    if heard.elapsed() >= SILENCE_MAX {
                        tracing::warn!(peer, %error, "not copying from this peer yet");
                        return false;
                    }
                    sleep(ASK_AGAIN).await;
                    // It may know new members, or we; begin again if it was us.
                    if matches!(error, PeerError::OtherView(_)) {
                        self.0.peers.refresh().await;
                        self.near_peers();
                        after = None;
                    }
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
            // A question whether it answers is as impatient as a write, or a peer behind a silent network would look
            // merely down. Another site may be far.
            let patience = if batch.is_hasty { ACK_WITHIN } else { BATCH_WITHIN };
            let sent = within(patience, self.0.peers.merge(peer, &batch.entries)).await;
            self.lock().settle(peer, &batch.marks, &sent);
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
            after = self.lock().sweep(after.as_ref(), SWEEP_STEP, (now_ms, self.0.horizon_ms));
            if after.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Resolves when the process was not run for longer than [`STOOD_STILL`], with that time in milliseconds: by the clock
/// that shows it longer, since one stops with the machine and the other may be set.
async fn stood_still(seams: &Seams) -> i64 {
    loop {
        let (before, before_ms) = (Instant::now(), seams.now_ms());
        sleep(ROUND).await;
        if before.elapsed() > STOOD_STILL {
            let elapsed_ms = i64::try_from(before.elapsed().as_millis()).unwrap_or(i64::MAX);
            return elapsed_ms.max(seams.now_ms().saturating_sub(before_ms));
        }
    }
}
