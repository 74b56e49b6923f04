//! What a batch of runs has met: a fault that never came, or after which nothing ever went well again, is a hole in the
//! proof (T-4).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Names of the network's fates, in the order of `network::Fate`.
const NETWORK: [&str; 6] = ["network: fine", "refused", "request lost", "reply lost", "late", "twice"];

/// Counters of one batch.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    network: [AtomicU64; 6],
    pub(crate) kills: AtomicU64,
    pub(crate) pauses: AtomicU64,
    pub(crate) store_not_executed: AtomicU64,
    pub(crate) store_unknown: AtomicU64,
    pub(crate) provider_lost: AtomicU64,
    pub(crate) provider_late: AtomicU64,
    pub(crate) provider_busy: AtomicU64,
    pub(crate) provider_failed: AtomicU64,
    pub(crate) provider_looked_up: AtomicU64,
    pub(crate) webhooks: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) declined: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) replays: AtomicU64,
    pub(crate) poisoned: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) attention: AtomicU64,
    pub(crate) attempts: AtomicU64,
    pub(crate) operations: AtomicU64,
}

impl Counts {
    pub(crate) fn network(&self, fate: usize) {
        self.network[fate].fetch_add(1, Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Every counter that should not be zero after a batch, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        let mut all: Vec<_> =
            NETWORK.iter().zip(&self.network).map(|(name, count)| (*name, count.load(Relaxed))).collect();
        all.extend(
            [
                ("kills", &self.kills),
                ("pauses", &self.pauses),
                ("store: not executed", &self.store_not_executed),
                ("store: commit's answer lost", &self.store_unknown),
                ("provider: reply lost", &self.provider_lost),
                ("provider: late effect", &self.provider_late),
                ("provider: busy", &self.provider_busy),
                ("provider: failed", &self.provider_failed),
                ("provider: looked up after the window", &self.provider_looked_up),
                ("webhooks", &self.webhooks),
                ("checkouts acknowledged", &self.acknowledged),
                ("checkouts declined", &self.declined),
                ("checkouts turned away, key unused", &self.turned_away),
                ("checkouts left unknown", &self.unknown),
                ("of these, finished without their customer", &self.recovered),
                ("replays compared", &self.replays),
                ("keys reused for another request", &self.poisoned),
                ("for a person", &self.attention),
                ("attempts between processes", &self.attempts),
                ("operations of customers", &self.operations),
            ]
            .map(|(name, count)| (name, count.load(Relaxed))),
        );
        all
    }
}
