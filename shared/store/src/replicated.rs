//! Memory shared by the nodes of a family: a map of join-semilattices, of which each entry lies on as many nodes as the
//! sharing strategy says.
//!
//! **One rule for all three strategies: a number of copies.** *Nothing* is one copy, *something(n)* is n, *everything* is
//! one on every node. Who is to hold a key, its *primaries*, follows from the members alone (`ring.rs`), and every site
//! has primaries of its own. With no more nodes than copies every node holds everything, and nothing below costs anything
//! more than it did: no key is fetched, none is handed over.
//!
//! The promise: an acknowledged write is on as many nodes as the strategy says, or on all that could be reached. So any
//! fewer deaths than copies lose nothing, if they leave time for one round of repair between a false suspicion and them.
//!
//! - *Write* (`access.rs`). Any node takes a request. It needs the value so far: its own if it is a primary, else it asks
//!   the holders. It applies the change under a short lock and sends it to the primaries at once, and for each that does
//!   not answer to the next member in order. Whoever has acknowledged all earlier changes of the key gets the difference;
//!   anybody else, and every repeat, the whole value, which repairs all earlier losses of that key. A repeat is sent again
//!   even if it changed nothing, because its first attempt may have been the one that was lost. It answers when enough
//!   have it, or nobody is left.
//! - *Hand-over* (`state.rs`). A key is *outstanding* at a primary from before it is sent until the primary acknowledged
//!   it; whatever happens in between, the background task sends it again. A node that holds an entry without being its
//!   primary keeps it until no primary owes an acknowledgement, and then lets it go. This one rule is the hint of a
//!   stand-in, the moved range after a join, the end of a leave and the repair by a read.
//! - *Repair* (`compare.rs`). Each two nodes compare digests of what both are to hold, every 2 s, and copy what differs:
//!   what an outstanding set forgot, what a node that died while sending had sent to some only, what was written while
//!   sites were cut off from each other.
//! - *Join*. A node first listens, then copies what is its own from every peer, page by page, then is ready (`keeper.rs`).
//!   A write meanwhile finds it listening and is sent to it; a write before was applied before the copy began. A node
//!   that notices that it stood still (SIGSTOP, a sleeping machine) copies again, and after long throws away what it
//!   knew (`recovery.rs`).
//! - *Leave* (`leave.rs`). A draining node refuses entries, hands over what it holds, then ends.
//! - *View*. Nodes rely on each other's answers only while they know the same members; another view is answered by its
//!   number, and the asker finds out and asks again. Joins are taken under any view: they cannot do harm.
//! - *Suspicion* decides whom to wait for and never what is true (MEM-3). A peer that refuses the connection is down: it is
//!   tried again on each write, since refusals are fast. A peer that does not answer is *suspect*: one write waits
//!   [`ACK_WITHIN`] for it, later ones do not, until it answers the background task or asks us something.
//! - *Sites*. A write waits for primaries of its own site only; those of other sites get it in batches from the background
//!   task, and what that forgets by digests. A site cut off goes on; the join is the same when the link returns.
//! - Everything else is the join's doing: messages may come late, twice and in any order.
//!
//! Not promised: a write whose holders all die before a round of repair is lost, whatever the strategy. A node cut off
//! from all others of its site answers from what it has, which may be nothing. It is memory: the death of all is the end.

mod access;
mod compare;
mod entries;
mod holders;
mod join;
mod keeper;
mod leave;
mod measure;
mod options;
mod peers;
mod recovery;
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

use contract::{
    CallError,
    replication::{Asker, OtherView},
};
use rpc::{Discovery, Transport};
use runtime::{Node, Seams};

use self::state::{State, bounded, without_times};
pub use self::{
    join::Join,
    options::{Remote, RemoteError, Setup, SharingOptions},
    peers::{PeerError, Peers, RpcPeers},
};

/// How long a write or a read waits for a peer before it suspects it.
pub const ACK_WITHIN: Duration = Duration::from_millis(300);
/// Most entries of a node, unless told otherwise.
pub const ENTRIES_MAX: usize = 1_000_000;

/// The entries of one family; clones share them.
pub struct Replicated<V: Join>(Arc<Inner<V>>);

struct Inner<V: Join> {
    state: Mutex<State<V>>,
    peers: Arc<dyn Peers<V>>,
    seams: Seams,
    horizon_ms: i64,
    /// Peers that this node has yet to copy since it started or stood still.
    missed: AtomicUsize,
    /// Rounds of comparing digests, and virtual nodes found different in them.
    rounds: AtomicUsize,
    differences: AtomicUsize,
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
    /// Entries of which every node has a copy, shared over RPC with the nodes at `peers` (which may list `own_address`
    /// too); alone if there are none. Call [`Self::start`] when the node listens.
    pub async fn open(
        node: &Node,
        transport: Arc<dyn Transport>,
        peers: Option<Discovery>,
        own_address: &str,
        entries_max: usize,
    ) -> Self {
        Self::open_with(node, transport, &Setup { entries_max, ..Setup::new(peers, own_address) }).await
    }

    /// Entries shared as the set-up says. Call [`Self::start`] when the node listens.
    pub async fn open_with(node: &Node, transport: Arc<dyn Transport>, setup: &Setup) -> Self {
        let peers = RpcPeers::<V>::new(node, transport, setup).await;
        let replicated = Self::new(node.seams.clone(), Arc::new(peers), setup);
        replicated.measure(&node.metrics);
        replicated
    }

    /// Entries shared with these peers.
    #[must_use]
    pub fn new(seams: Seams, peers: Arc<dyn Peers<V>>, setup: &Setup) -> Self {
        let state = State::new(setup.entries_max, setup.sharing, peers.own().clone(), &peers.list());
        let (missed, rounds, differences) = Default::default();
        let (state, horizon_ms) = (Mutex::new(state), setup.horizon_ms);
        Self(Arc::new(Inner { state, peers, seams, horizon_ms, missed, rounds, differences }))
    }

    /// Copies what the peers have, sets the node ready, keeps repairing, comparing and sweeping until the node stops, and
    /// then hands over what it holds.
    pub fn start(&self, node: &Node) {
        self.lock().is_filling = true;
        node.tasks.spawn_until_stop(self.clone().keep_fresh(node.readiness.clone()));
        node.tasks.spawn_until_stop(self.clone().keep_repaired());
        node.tasks.spawn_until_stop(self.clone().keep_compared());
        node.tasks.spawn_until_stop(self.clone().keep_swept());
        drop(node.tasks.spawn(self.clone().leave_at_the_end(node.clone())));
    }

    /// This node's copy of a key, whoever else has another.
    #[must_use]
    pub fn get(&self, key: &V::Key) -> Option<V> {
        self.lock().entries.get(key).cloned()
    }

    /// This node's next entries, at most [`Join::BATCH_MAX`], in an order of its own; empty at the end.
    #[must_use]
    pub fn page(&self, after: Option<&V::Key>) -> Vec<(V::Key, V)> {
        let state = self.lock();
        without_times(bounded::<V>(state.entries.after(after).map(|(_, key, slot)| (key, slot))))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries are held for others until they have them.
    #[must_use]
    pub fn hints(&self) -> usize {
        self.lock().foreign.len()
    }

    /// How many keys each peer has yet to acknowledge.
    #[must_use]
    pub fn outstanding(&self) -> Vec<(String, usize)> {
        self.lock().peers.iter().map(|(name, peer)| (name.clone(), peer.keys.len())).collect()
    }

    /// How many peers do not answer: writes do not wait for them.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.lock().peers.values().filter(|peer| peer.is_suspect).count()
    }

    /// How many peers this node has not copied: what only they have, it does not have. 0 once it has caught up.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.0.missed.load(Ordering::Relaxed)
    }

    /// What a peer asks rests on the members that it knows: those must be ours. And who asks is alive.
    fn asked(&self, asker: &Asker) -> Result<MutexGuard<'_, State<V>>, CallError<OtherView>> {
        let others = self.0.peers.list();
        let mut state = self.lock();
        state.align(&others);
        let view = state.ring.view();
        if asker.view != view {
            return Err(CallError::Refused(OtherView { view }));
        }
        if state.aside.is_some() {
            return Err(CallError::NotExecuted("this node was away for too long and copies first".to_owned()));
        }
        state.trust(&asker.member);
        Ok(state)
    }

    /// Never held across an await: everything done under it is in memory and bounded.
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
