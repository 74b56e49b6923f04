//! Memory shared by the nodes of a family: a map of join-semilattices, replicated to every live node before a write is
//! acknowledged. Until the sharing strategies come, *something* and *everything* are both this: a copy on all nodes.
//!
//! The promise: an acknowledged write is on every node that answered, so it survives any deaths but the last one's.
//!
//! - A write is applied here under a short lock, then its whole new value is sent to all peers at once. Whole values and
//!   not deltas: any one message then repairs all earlier losses of that key. A repeat is sent again even if it changed
//!   nothing, because its first attempt may have been the one that was lost.
//! - A key is *outstanding* at a peer from before it is sent until the peer acknowledged it, so whatever happens in
//!   between (the peer hangs, the caller hangs up) the background task sends it again. The set is bounded; where it
//!   overflows, everything is sent again.
//! - A peer that refuses the connection is down: most likely it holds nothing, and copies everything from us before it is
//!   ready. If it lives all the same, whoever started without its copy takes it as soon as it answers. It is tried again
//!   on each write, since refusals are fast and it may be copying by now. A peer that does not answer is *suspect*: one
//!   write waits [`ACK_WITHIN`] for it, later ones do not, until it answers the background task.
//! - A node first listens, then copies every peer's entries page by page, then is ready. A write meanwhile finds it
//!   listening and is sent to it; a write before was applied before the copy began. A node that asks for a first page
//!   is alive, so nobody is suspect then. A node that notices that it stood still (SIGSTOP, a sleeping machine) copies
//!   again before it is ready again.
//! - Everything else is the join's doing: messages may come late, twice and in any order.
//!
//! What it does not do: a write that was *not* acknowledged, because its node died while sending, may be on some nodes
//! only, until it is repeated or its key is written again. Comparing digests will repair that too; it belongs beside
//! `repair` in `keeper.rs`, and the ring belongs into [`Peers::list`], which would then depend on the key.

mod join;
mod keeper;
mod peers;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use opentelemetry::KeyValue;
use rpc::{Discovery, Transport};
use runtime::{Metrics, Node, Seams};

pub use self::{
    join::Join,
    peers::{PeerError, Peers, RpcPeers},
};
use self::{peers::within, state::State};
use crate::StoreError;

/// How long a write waits for a peer before it suspects it.
pub const ACK_WITHIN: Duration = Duration::from_millis(300);
/// Most entries of a node, unless told otherwise.
pub const ENTRIES_MAX: usize = 1_000_000;

/// The entries of one family; clones share them.
pub struct Replicated<V: Join>(Arc<Inner<V>>);

struct Inner<V: Join> {
    state: Mutex<State<V>>,
    peers: Arc<dyn Peers<V>>,
    seams: Seams,
    /// Peers that this node has yet to copy since it started or stood still.
    missed: AtomicUsize,
}

impl<V: Join> Clone for Replicated<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: Join> fmt::Debug for Replicated<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicated").field("entries", &self.len()).field("peers", &self.0.peers).finish()
    }
}

impl<V: Join> Replicated<V> {
    /// Entries shared over RPC with the nodes at `peers` (which may list `own_address` too); alone if there are none.
    /// Call [`Self::start`] when the node listens.
    pub async fn open(
        node: &Node,
        transport: Arc<dyn Transport>,
        peers: Option<Discovery>,
        own_address: &str,
        entries_max: usize,
    ) -> Self {
        let peers = peers.unwrap_or(Discovery::Static(Vec::new()));
        let peers = RpcPeers::<V>::new(node, transport, peers, own_address).await;
        let replicated = Self::new(node.seams.clone(), Arc::new(peers), entries_max);
        replicated.measure(&node.metrics);
        replicated
    }

    /// Entries shared with these peers.
    #[must_use]
    pub fn new(seams: Seams, peers: Arc<dyn Peers<V>>, entries_max: usize) -> Self {
        let state = Mutex::new(State::new(entries_max, &peers.list()));
        Self(Arc::new(Inner { state, peers, seams, missed: AtomicUsize::new(0) }))
    }

    /// Copies what the peers have, sets the node ready, and keeps repairing and sweeping until the node stops.
    pub fn start(&self, node: &Node) {
        node.tasks.spawn_until_stop(self.clone().keep_fresh(node.readiness.clone()));
        node.tasks.spawn_until_stop(self.clone().keep_repaired());
        node.tasks.spawn_until_stop(self.clone().keep_swept());
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &V::Key) -> Option<V> {
        self.lock().get(key).cloned()
    }

    /// Changes a value and returns once every live peer has the new one. `change` is given the value so far and returns
    /// the new one, which must be at or above it in the lattice's order, or a refusal, after which nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when a new key would exceed the bound of entries.
    pub async fn update<T, E>(
        &self,
        key: V::Key,
        change: impl FnOnce(Option<V>) -> Result<(V, T), E>,
    ) -> Result<Result<T, E>, StoreError> {
        let peers = self.0.peers.list();
        let now_ms = self.0.seams.now_ms();
        let (answer, value, sends) = {
            let mut state = self.lock();
            let (value, answer) = match change(state.get(&key).cloned()) {
                Ok(changed) => changed,
                Err(refusal) => return Ok(Err(refusal)),
            };
            state.put(key.clone(), value.clone(), now_ms)?;
            (answer, value, state.mark(&key, &peers))
        };
        let entry = [(key, value)];
        join_all(sends.into_iter().map(async |(peer, mark)| {
            let sent = within(ACK_WITHIN, self.0.peers.merge(&peer, &entry)).await;
            if let Err(error) = &sent {
                tracing::debug!(peer, %error, "a write went on without this peer");
            }
            self.lock().settle(&peer, &[(entry[0].0.clone(), mark)], &sent);
        }))
        .await;
        Ok(Ok(answer))
    }

    /// Joins entries that a peer sent; they are not sent on.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when entries did not fit; those that did are kept, and the peer sends again.
    pub fn merge(&self, entries: Vec<(V::Key, V)>) -> Result<(), StoreError> {
        let now_ms = self.0.seams.now_ms();
        let mut state = self.lock();
        entries.into_iter().map(|(key, value)| state.join(key, value, now_ms)).fold(Ok(()), Result::and)
    }

    /// The next entries in order of key, at most [`Join::BATCH_MAX`]; empty at the end. Asking for the first page tells
    /// that a peer is copying, so no peer is suspect any more.
    #[must_use]
    pub fn page(&self, after: Option<&V::Key>) -> Vec<(V::Key, V)> {
        let mut state = self.lock();
        if after.is_none() {
            state.trust_all();
        }
        state.page(after)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys each peer has yet to acknowledge, and whether everything is to be sent to it.
    #[must_use]
    pub fn outstanding(&self) -> Vec<(String, usize, bool)> {
        self.lock().outstanding()
    }

    /// How many peers this node has not copied: what only they have, it does not have. 0 once it has caught up.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.0.missed.load(Ordering::Relaxed)
    }

    fn measure(&self, metrics: &Metrics) {
        let (meter, entries, keys) = (metrics.meter(), Arc::downgrade(&self.0), Arc::downgrade(&self.0));
        let missed = Arc::downgrade(&self.0);
        meter
            .u64_observable_gauge("trestle_replicated_missed")
            .with_description("peers that this node could not copy since it started or stood still")
            .with_callback(move |gauge| {
                let Some(inner) = missed.upgrade() else { return };
                gauge.observe(u64::try_from(Self(inner).missed()).unwrap_or(u64::MAX), &[]);
            })
            .build();
        meter
            .u64_observable_gauge("trestle_replicated_entries")
            .with_description("entries held by this node")
            .with_callback(move |gauge| {
                let Some(inner) = entries.upgrade() else { return };
                gauge.observe(u64::try_from(Self(inner).len()).unwrap_or(u64::MAX), &[]);
            })
            .build();
        meter
            .u64_observable_gauge("trestle_replicated_outstanding")
            .with_description("keys that a peer has yet to acknowledge, by peer")
            .with_callback(move |gauge| {
                let Some(inner) = keys.upgrade() else { return };
                for (peer, keys, _) in Self(inner).outstanding() {
                    gauge.observe(u64::try_from(keys).unwrap_or(u64::MAX), &[KeyValue::new("peer", peer)]);
                }
            })
            .build();
    }

    /// Never held across an await: everything done under it is in memory and bounded.
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
