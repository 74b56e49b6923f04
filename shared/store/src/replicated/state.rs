//! What lies under the lock: the entries, who else is to hold them, and what each of those has yet to acknowledge.
//!
//! One lock for all, because a mark must have the order of the values it stands for: were a key marked after the lock
//! was let go, an older value's acknowledgement could clear the mark of a newer one, and an entry of others would be let
//! go although its last change is nowhere else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contract::Sharing;

use super::{Join, PeerError, entries::Entries, entries::Slot, holders::Holders};
use crate::{
    StoreError,
    ring::{Member, Ring},
};

/// Most outstanding keys of one peer, of entries that we keep anyway; what goes beyond is left to the digests.
pub(super) const OUTSTANDING_MAX: usize = 100_000;
/// Most bytes in one message by [`Join::wire_bytes`], well below the 8 MiB that a node takes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An entry as nodes copy it from each other: with when it was last touched.
pub(super) type Copied<V> = (<V as Join>::Key, V, i64);

pub(super) struct State<V: Join> {
    pub(super) entries: Entries<V>,
    /// What a node knew that was away for too long; see `recovery.rs`.
    pub(super) aside: Option<Entries<V>>,
    pub(super) ring: Arc<Ring>,
    sharing: Sharing,
    member: Member,
    /// Our number in the ring.
    pub(super) own: usize,
    pub(super) peers: BTreeMap<String, Peer<V::Key>>,
    /// Keys of entries that only others are to hold: kept until they all have them.
    pub(super) foreign: BTreeSet<V::Key>,
    /// Grows with each mark.
    last_mark: u64,
    /// Marks at the last two rounds of repair. A key is repaired only if it was marked before the round before last, or
    /// was not sent: the newer ones are just being sent by the writes themselves.
    rounds: [u64; 2],
    /// Copying: "no such entry" would be a lie.
    pub(super) is_filling: bool,
    /// On its way out: takes nothing in and counts as no copy.
    pub(super) is_leaving: bool,
}

pub(super) struct Peer<K> {
    pub(super) number: usize,
    /// Of our site: writes wait for it, and it stands in for others.
    pub(super) is_near: bool,
    pub(super) keys: BTreeMap<K, u64>,
    pub(super) is_suspect: bool,
    /// Marks up to here were made while it was suspect: no write is on its way to it for them, so they are due at once.
    unsent: u64,
    /// The group of virtual nodes where the next comparison of digests begins.
    pub(super) compare_from: u8,
}

/// A message of the background repair.
pub(super) struct Batch<V: Join> {
    pub(super) entries: Vec<(V::Key, V)>,
    pub(super) marks: Vec<(V::Key, u64)>,
    /// Nothing is sent but the question whether a near peer, which was suspect, answers.
    pub(super) is_hasty: bool,
}

/// A write on its way to the holders.
pub(super) struct News<V: Join> {
    whole: [(V::Key, V); 1],
    /// What is new in it.
    delta: Option<[(V::Key, V); 1]>,
    /// Who has everything else, and so gets no more than that.
    current: Vec<String>,
    pub(super) marks: [(V::Key, u64); 1],
}

impl<V: Join> News<V> {
    /// What this peer is to be sent.
    pub(super) fn of(&self, peer: &str) -> &[(V::Key, V)] {
        match &self.delta {
            Some(delta) if self.current.iter().any(|current| current == peer) => delta,
            _ => &self.whole,
        }
    }
}

impl<V: Join> State<V> {
    pub(super) fn new(entries_max: usize, sharing: Sharing, member: Member, others: &[Member]) -> Self {
        let mut state = Self {
            entries: Entries::new(entries_max),
            aside: None,
            ring: Arc::new(Ring::new(Vec::new(), sharing)),
            sharing,
            member,
            own: 0,
            peers: BTreeMap::new(),
            foreign: BTreeSet::new(),
            last_mark: 0,
            rounds: [0; 2],
            is_filling: false,
            is_leaving: false,
        };
        state.align(others);
        if let (Sharing::Something(copies), Some((site, _))) = (sharing, state.near_members())
            && copies > site
        {
            tracing::info!(copies, nodes = site, "fewer nodes than copies: each holds everything");
        }
        state
    }

    /// Follows the members. When they change, what belongs to others only is found and will be handed over; what is new
    /// with us comes by copying and digests.
    pub(super) fn align(&mut self, others: &[Member]) {
        let same = self.ring.members().len() == others.len() + 1;
        if same && others.iter().all(|member| self.peers.contains_key(&member.name)) {
            return;
        }
        let all = others.iter().cloned().chain([self.member.clone()]).collect();
        self.ring = Arc::new(Ring::new(all, self.sharing));
        self.own = self.ring.number_of(&self.member.name).unwrap_or_default();
        self.peers.retain(|name, _| others.iter().any(|member| member.name == *name));
        for member in others {
            let number = self.ring.number_of(&member.name).unwrap_or_default();
            let peer = self.peers.entry(member.name.clone()).or_insert_with(|| Peer {
                number,
                is_near: member.site == self.member.site,
                keys: BTreeMap::new(),
                is_suspect: false,
                unsent: 0,
                compare_from: 0,
            });
            peer.number = number;
            peer.keys.retain(|key, _| self.ring.is_primary(number, V::vnode(key)));
        }
        self.foreign.clear();
        if self.ring.is_everything() {
            return;
        }
        let (ring, own) = (self.ring.clone(), self.own);
        for vnode in (0..=u16::MAX).filter(|vnode| !ring.is_primary(own, *vnode)) {
            let keys: Vec<V::Key> = self.entries.of(vnode).map(|(_, key, _)| key.clone()).collect();
            for key in keys {
                self.mark(&key);
            }
        }
    }

    /// Applies a write: from now on it is outstanding at all that are to have it.
    pub(super) fn write(&mut self, key: V::Key, value: V, now_ms: i64) -> Result<(News<V>, Holders), StoreError> {
        let current = self.current(&key);
        // A change that changes nothing is a repeat: what it is about may have come here from a node that died before it
        // had sent it to all, so everybody gets the whole.
        let known = self.entries.get(&key).filter(|known| !current.is_empty() && **known != value);
        let delta = known.map(|known| [(key.clone(), value.delta(known))]);
        self.entries.put(&key, value.clone(), now_ms)?;
        let (marks, holders) = ([(key.clone(), self.mark(&key))], self.holders(&key));
        Ok((News { whole: [(key, value)], delta, current, marks }, holders))
    }

    /// The primaries that have acknowledged every change of a key that is ours, so that the difference is enough for them.
    fn current(&self, key: &V::Key) -> Vec<String> {
        let vnode = V::vnode(key);
        if !self.ring.is_primary(self.own, vnode) {
            return Vec::new();
        }
        let owes_nothing =
            |peer: &Peer<V::Key>| self.ring.is_primary(peer.number, vnode) && !peer.keys.contains_key(key);
        self.peers.iter().filter(|(_, peer)| owes_nothing(peer)).map(|(name, _)| name.clone()).collect()
    }

    /// Joins what a peer sent. If it is not ours it is so from now on, until those whose it is have it (again: they may
    /// have lost what they acknowledged before, and the sender may drop it now).
    pub(super) fn join(&mut self, key: &V::Key, value: &V, touched_ms: i64) -> Result<(), StoreError> {
        self.entries.join(key, value, touched_ms)?;
        if !self.ring.is_primary(self.own, V::vnode(key)) {
            self.mark(key);
        }
        Ok(())
    }

    /// Notes that all primaries are to get this key. Those of other sites are left to the digests if we are no primary,
    /// or a cut between sites would make us keep what is not ours.
    fn mark(&mut self, key: &V::Key) -> u64 {
        self.last_mark += 1;
        let vnode = V::vnode(key);
        let is_ours = self.ring.is_primary(self.own, vnode);
        if !is_ours {
            self.foreign.insert(key.clone());
        }
        for peer in self.peers.values_mut() {
            let is_wanted = self.ring.is_primary(peer.number, vnode) && (is_ours || peer.is_near);
            let has_room = !is_ours || peer.keys.len() < OUTSTANDING_MAX || peer.keys.contains_key(key);
            if is_wanted && has_room {
                peer.keys.insert(key.clone(), self.last_mark);
            }
        }
        self.last_mark
    }

    /// Notes whether a peer answered.
    pub(super) fn heard<T>(&mut self, peer: &str, answer: &Result<T, PeerError>) {
        match answer {
            Err(PeerError::Silent(_)) => self.peers.get_mut(peer).into_iter().for_each(|peer| peer.is_suspect = true),
            _ => self.trust(peer),
        }
    }

    /// A peer lives after all: what it was not sent meanwhile goes out with the next batch. Until then those writes are
    /// on fewer nodes than they should be.
    pub(super) fn trust(&mut self, peer: &str) {
        if let Some(peer) = self.peers.get_mut(peer)
            && std::mem::take(&mut peer.is_suspect)
        {
            peer.unsent = self.last_mark;
        }
    }

    /// Notes what became of sending keys as they were at these marks, and lets go what only others are to hold and now
    /// do (MEM-5): the one rule behind hints, moved ranges and leaving.
    pub(super) fn settle(&mut self, name: &str, marks: &[(V::Key, u64)], sent: &Result<(), PeerError>) {
        self.heard(name, sent);
        if sent.is_err() {
            return;
        }
        for (key, mark) in marks {
            let Some(peer) = self.peers.get_mut(name) else { return };
            if peer.keys.get(key) != Some(mark) {
                continue;
            }
            peer.keys.remove(key);
            if self.foreign.contains(key) && !self.peers.values().any(|peer| peer.keys.contains_key(key)) {
                self.foreign.remove(key);
                self.entries.remove(key);
            }
        }
    }

    /// Whom to ask for a key or to give it to.
    pub(super) fn holders(&self, key: &V::Key) -> Holders {
        let vnode = V::vnode(key);
        Holders::new(&self.ring, vnode, (self.own, self.is_leaving), |name| {
            self.peers.get(name).is_some_and(|peer| peer.is_suspect)
        })
    }

    /// Whether we are to hold a key.
    pub(super) fn is_ours(&self, key: &V::Key) -> bool {
        !self.is_leaving && self.ring.is_primary(self.own, V::vnode(key))
    }

    /// A round of repair begins: returns the peers.
    pub(super) fn begin_round(&mut self, others: &[Member]) -> Vec<String> {
        self.align(others);
        self.rounds = [self.rounds[1], self.last_mark];
        self.peers.keys().cloned().collect()
    }

    /// What to send to a peer next, if anything.
    pub(super) fn next_batch(&self, name: &str) -> Option<Batch<V>> {
        let peer = self.peers.get(name)?;
        if peer.is_suspect {
            return Some(Batch { entries: Vec::new(), marks: Vec::new(), is_hasty: peer.is_near });
        }
        let due_up_to = self.rounds[0].max(peer.unsent);
        let due = peer.keys.iter().filter(|(_, mark)| **mark <= due_up_to).take(V::BATCH_MAX);
        let due: Vec<(V::Key, u64)> = due.map(|(key, mark)| (key.clone(), *mark)).collect();
        if due.is_empty() {
            return None;
        }
        // A key without an entry was swept meanwhile; its mark goes with the others.
        let entries = bounded::<V>(due.iter().filter_map(|(key, _)| Some((key, self.entries.slot(key)?))));
        let last = entries.last().map(|(key, ..)| key.clone());
        let marks = due.into_iter().filter(|(key, _)| last.as_ref().is_none_or(|last| key <= last)).collect();
        Some(Batch { entries: without_times(entries), marks, is_hasty: false })
    }

    /// How many members our site has, and how many copies of each entry.
    fn near_members(&self) -> Option<(usize, usize)> {
        let (copies, order) = self.ring.preference(self.own, 0);
        Some((order.len(), copies)).filter(|(members, _)| *members > 0)
    }

    /// Drops what is over among the next `count` entries; returns where to go on, or nothing at the end.
    /// What stays forgets what has been over for longer than the horizon; other nodes follow by their own sweeps.
    pub(super) fn sweep(
        &mut self,
        after: Option<&V::Key>,
        count: usize,
        (now_ms, horizon_ms): (i64, i64),
    ) -> Option<V::Key> {
        let (mut over, mut old, mut last) = (Vec::new(), Vec::new(), None);
        for (_, key, slot) in self.entries.after(after).take(count) {
            if slot.value.is_over(slot.touched_ms, now_ms) {
                over.push(key.clone());
            } else if slot.value.has_to_forget(now_ms, horizon_ms) {
                old.push(key.clone());
            }
            last = Some(key.clone());
        }
        for key in &over {
            self.entries.remove(key);
            self.foreign.remove(key);
        }
        old.iter().for_each(|key| self.entries.forget(key));
        last
    }
}

/// As many entries as one message takes; at least one, if there is one.
pub(super) fn bounded<'a, V: Join>(entries: impl Iterator<Item = (&'a V::Key, &'a Slot<V>)>) -> Vec<Copied<V>> {
    let mut bytes = 0_usize;
    entries
        .take(V::BATCH_MAX)
        .take_while(|(_, slot)| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(slot.value.wire_bytes());
            is_first || bytes <= BATCH_BYTES_MAX
        })
        .map(|(key, slot)| (key.clone(), slot.value.clone(), slot.touched_ms))
        .collect()
}

/// The entries as a write sends them.
pub(super) fn without_times<V: Join>(entries: Vec<Copied<V>>) -> Vec<(V::Key, V)> {
    entries.into_iter().map(|(key, value, _)| (key, value)).collect()
}
