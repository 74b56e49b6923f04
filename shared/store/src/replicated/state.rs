//! What lies under the lock: the entries, and what each peer has yet to acknowledge.
//!
//! One lock for both, because a mark must have the order of the values it stands for: were a key marked after the lock
//! was let go, an older value's acknowledgement could clear the mark of a newer one.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use super::{Join, PeerError};
use crate::StoreError;

/// Most outstanding keys of one peer; beyond it everything is sent again.
pub(super) const OUTSTANDING_MAX: usize = 100_000;
/// Most bytes in one message by [`Join::wire_bytes`], well below the 8 MiB that a node takes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) struct State<V: Join> {
    entries: BTreeMap<V::Key, Slot<V>>,
    entries_max: usize,
    peers: BTreeMap<String, Outstanding<V::Key>>,
    /// Grows with each mark.
    last_mark: u64,
    /// Marks at the last two rounds of repair. A key is repaired only if it was marked before the round before last:
    /// the newer ones are just being sent by the writes themselves.
    rounds: [u64; 2],
}

struct Slot<V> {
    value: V,
    touched_ms: i64,
}

struct Outstanding<K> {
    keys: BTreeMap<K, u64>,
    /// Where sending everything has got to.
    walk: Option<Walk<K>>,
    suspect: bool,
}

#[derive(Clone)]
struct Walk<K> {
    /// Tells one walk from the next, so that a late acknowledgement does not move a walk that began again.
    began: u64,
    after: Option<K>,
}

/// A message of the background repair.
pub(super) struct Batch<V: Join> {
    pub(super) entries: Vec<(V::Key, V)>,
    pub(super) marks: Vec<(V::Key, u64)>,
    walk: Option<Walk<V::Key>>,
    /// The peer was suspect: nothing is sent but the question whether it answers.
    pub(super) is_probe: bool,
}

impl<V: Join> State<V> {
    pub(super) fn new(entries_max: usize, peers: &[String]) -> Self {
        let mut state =
            Self { entries: BTreeMap::new(), entries_max, peers: BTreeMap::new(), last_mark: 0, rounds: [0; 2] };
        // Peers known from the start need not be sent what they will be sent as it is written.
        state.align(peers);
        for peer in state.peers.values_mut() {
            peer.walk = None;
        }
        state
    }

    pub(super) fn get(&self, key: &V::Key) -> Option<&V> {
        self.entries.get(key).map(|slot| &slot.value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn put(&mut self, key: V::Key, value: V, now_ms: i64) -> Result<(), StoreError> {
        if self.entries.len() >= self.entries_max && !self.entries.contains_key(&key) {
            return Err(StoreError::NotExecuted(format!("full: {} entries", self.entries_max)));
        }
        self.entries.insert(key, Slot { value, touched_ms: now_ms });
        Ok(())
    }

    pub(super) fn join(&mut self, key: V::Key, value: V, now_ms: i64) -> Result<(), StoreError> {
        match self.entries.get_mut(&key) {
            Some(slot) => {
                slot.value.merge(&value);
                slot.touched_ms = now_ms;
                Ok(())
            }
            None => self.put(key, value, now_ms),
        }
    }

    /// Marks a key that was just written as outstanding at all peers; returns those to send it to now.
    pub(super) fn mark(&mut self, key: &V::Key, peers: &[String]) -> Vec<(String, u64)> {
        self.align(peers);
        self.last_mark += 1;
        let mark = self.last_mark;
        let mut sends = Vec::with_capacity(peers.len());
        for (name, peer) in &mut self.peers {
            peer.keys.insert(key.clone(), mark);
            if peer.keys.len() > OUTSTANDING_MAX {
                peer.keys.clear();
                peer.walk = Some(Walk { began: mark, after: None });
            }
            if !peer.suspect {
                sends.push((name.clone(), mark));
            }
        }
        sends
    }

    /// Notes what became of sending keys as they were at these marks.
    pub(super) fn settle(&mut self, peer: &str, marks: &[(V::Key, u64)], sent: &Result<(), PeerError>) {
        let Some(peer) = self.peers.get_mut(peer) else { return };
        peer.suspect = matches!(sent, Err(PeerError::Silent(_)));
        if sent.is_ok() {
            for (key, mark) in marks {
                if peer.keys.get(key) == Some(mark) {
                    peer.keys.remove(key);
                }
            }
        }
    }

    pub(super) fn settle_batch(&mut self, name: &str, batch: &Batch<V>, sent: &Result<(), PeerError>) {
        self.settle(name, &batch.marks, sent);
        let Some(peer) = self.peers.get_mut(name) else { return };
        if let (Ok(()), Some(sent_walk), Some(walk)) = (sent, &batch.walk, &mut peer.walk)
            && sent_walk.began == walk.began
        {
            match batch.entries.last() {
                Some((last, _)) => walk.after = Some(last.clone()),
                None => peer.walk = None,
            }
        }
    }

    pub(super) fn trust_all(&mut self) {
        for peer in self.peers.values_mut() {
            peer.suspect = false;
        }
    }

    pub(super) fn page(&self, after: Option<&V::Key>) -> Vec<(V::Key, V)> {
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        bounded(self.entries.range::<V::Key, _>(range).map(|(key, slot)| (key, &slot.value)))
    }

    /// A round of repair begins: forgets peers that are no longer members and returns the others.
    pub(super) fn begin_round(&mut self, peers: &[String]) -> Vec<String> {
        self.align(peers);
        self.rounds = [self.rounds[1], self.last_mark];
        self.peers.keys().cloned().collect()
    }

    /// What to send to a peer next, if anything.
    pub(super) fn next_batch(&mut self, name: &str) -> Option<Batch<V>> {
        let (entries, settled_by) = (&self.entries, self.rounds[0]);
        let peer = self.peers.get_mut(name)?;
        let nothing = Batch { entries: Vec::new(), marks: Vec::new(), walk: None, is_probe: false };
        if peer.suspect {
            return Some(Batch { is_probe: true, ..nothing });
        }
        let due = peer.keys.iter().filter(|(_, mark)| **mark <= settled_by).take(V::BATCH_MAX);
        let due: Vec<(V::Key, u64)> = due.map(|(key, mark)| (key.clone(), *mark)).collect();
        if !due.is_empty() {
            // A key without an entry was swept meanwhile; its mark goes with the others.
            let batch = bounded(due.iter().filter_map(|(key, _)| Some((key, &entries.get(key)?.value))));
            let last = batch.last().map(|(key, _)| key.clone());
            let marks = due.into_iter().filter(|(key, _)| last.as_ref().is_none_or(|last| key <= last)).collect();
            return Some(Batch { entries: batch, marks, ..nothing });
        }
        let walk = peer.walk.clone()?;
        Some(Batch { entries: self.page(walk.after.as_ref()), walk: Some(walk), ..nothing })
    }

    pub(super) fn outstanding(&self) -> Vec<(String, usize, bool)> {
        self.peers.iter().map(|(name, peer)| (name.clone(), peer.keys.len(), peer.walk.is_some())).collect()
    }

    /// Drops what is over among the next `count` entries; returns where to go on, or nothing at the end.
    pub(super) fn sweep(&mut self, after: Option<&V::Key>, count: usize, now_ms: i64) -> Option<V::Key> {
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        let looked_at: Vec<(V::Key, bool)> = self
            .entries
            .range::<V::Key, _>(range)
            .take(count)
            .map(|(key, slot)| (key.clone(), slot.value.is_over(slot.touched_ms, now_ms)))
            .collect();
        for (key, _) in looked_at.iter().filter(|(_, over)| *over) {
            self.entries.remove(key);
        }
        looked_at.last().map(|(key, _)| key.clone())
    }

    /// A peer that joins later is sent everything: it may have copied us before we knew it.
    fn align(&mut self, peers: &[String]) {
        if self.peers.len() == peers.len() && peers.iter().all(|peer| self.peers.contains_key(peer)) {
            return;
        }
        self.peers.retain(|name, _| peers.contains(name));
        for peer in peers {
            let began = self.last_mark;
            self.peers.entry(peer.clone()).or_insert_with(|| Outstanding {
                keys: BTreeMap::new(),
                walk: Some(Walk { began, after: None }),
                suspect: false,
            });
        }
    }
}

/// As many entries as one message takes; at least one, if there is one.
fn bounded<'a, V: Join>(entries: impl Iterator<Item = (&'a V::Key, &'a V)>) -> Vec<(V::Key, V)> {
    let mut bytes = 0_usize;
    entries
        .take(V::BATCH_MAX)
        .take_while(|(_, value)| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(value.wire_bytes());
            is_first || bytes <= BATCH_BYTES_MAX
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
