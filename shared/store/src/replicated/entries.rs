//! The entries themselves, in order of virtual node and key, with a digest of each virtual node.
//!
//! A digest is the XOR of the hashes of what lies there, key and value in canonical spelling. So it can be kept up to date by
//! taking out the old hash and putting in the new one, and two nodes have equal digests exactly when they hold the same.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

use super::Join;
use crate::{
    StoreError,
    ring::{Hasher, VNODES},
};

pub(super) struct Entries<V: Join> {
    /// Without a key, the place before all keys of its virtual node.
    slots: BTreeMap<(u16, Option<V::Key>), Slot<V>>,
    digests: Vec<u64>,
    /// The digests of the [`GROUP`]s of virtual nodes.
    sums: Vec<u64>,
    max: usize,
    /// Contradictions met in joins: a client used one key for two changes (CART-7).
    pub(super) contradictions: usize,
}

/// Virtual nodes of a group, by which digests are compared first.
pub(super) const GROUP: usize = 256;

pub(super) struct Slot<V> {
    pub(super) value: V,
    /// When it was last written or sent, in Unix milliseconds. It travels with the copies that nodes make of each other,
    /// or each copy would keep an old entry alive for another life.
    pub(super) touched_ms: i64,
    hash: u64,
}

impl<V: Join> Entries<V> {
    pub(super) fn new(max: usize) -> Self {
        Self { slots: BTreeMap::new(), digests: vec![0; VNODES], sums: vec![0; VNODES / GROUP], max, contradictions: 0 }
    }

    pub(super) fn get(&self, key: &V::Key) -> Option<&V> {
        self.slot(key).map(|slot| &slot.value)
    }

    pub(super) fn slot(&self, key: &V::Key) -> Option<&Slot<V>> {
        self.slots.get(&(V::vnode(key), Some(key.clone())))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    pub(super) fn put(&mut self, key: &V::Key, value: V, touched_ms: i64) -> Result<(), StoreError> {
        let vnode = V::vnode(key);
        let place = (vnode, Some(key.clone()));
        let known = self.slots.get(&place);
        if known.is_none() && self.slots.len() >= self.max {
            return Err(StoreError::NotExecuted(format!("full: {} entries", self.max)));
        }
        let hash = hashed(key, &value);
        let change = known.map_or(0, |slot| slot.hash) ^ hash;
        self.redigest(vnode, change);
        self.slots.insert(place, Slot { value, touched_ms, hash });
        Ok(())
    }

    pub(super) fn join(&mut self, key: &V::Key, value: &V, touched_ms: i64) -> Result<(), StoreError> {
        let Some(slot) = self.slots.get_mut(&(V::vnode(key), Some(key.clone()))) else {
            return self.put(key, value.clone(), touched_ms);
        };
        slot.touched_ms = slot.touched_ms.max(touched_ms);
        if slot.value != *value {
            self.contradictions += slot.value.merge(value);
            let hash = hashed(key, &slot.value);
            let change = std::mem::replace(&mut slot.hash, hash) ^ hash;
            self.redigest(V::vnode(key), change);
        }
        Ok(())
    }

    /// Lets an entry forget what it may.
    pub(super) fn forget(&mut self, key: &V::Key) {
        let Some(slot) = self.slots.get_mut(&(V::vnode(key), Some(key.clone()))) else { return };
        slot.value.forget();
        let hash = hashed(key, &slot.value);
        let change = std::mem::replace(&mut slot.hash, hash) ^ hash;
        self.redigest(V::vnode(key), change);
    }

    pub(super) fn remove(&mut self, key: &V::Key) {
        let vnode = V::vnode(key);
        if let Some(slot) = self.slots.remove(&(vnode, Some(key.clone()))) {
            self.redigest(vnode, slot.hash);
        }
    }

    fn redigest(&mut self, vnode: u16, change: u64) {
        self.digests[usize::from(vnode)] ^= change;
        self.sums[usize::from(vnode) / GROUP] ^= change;
    }

    /// The digests of a group's virtual nodes, and their sum.
    pub(super) fn digests(&self, group: u8) -> (&[u64], u64) {
        let group = usize::from(group);
        (&self.digests[group * GROUP..][..GROUP], self.sums[group])
    }

    /// All entries after this key.
    pub(super) fn after(&self, after: Option<&V::Key>) -> impl Iterator<Item = (u16, &V::Key, &Slot<V>)> {
        let from = after.map_or(Unbounded, |key| Excluded((V::vnode(key), Some(key.clone()))));
        self.slots.range((from, Unbounded)).filter_map(named)
    }

    /// The entries of one virtual node.
    pub(super) fn of(&self, vnode: u16) -> impl Iterator<Item = (u16, &V::Key, &Slot<V>)> {
        let to = vnode.checked_add(1).map_or(Unbounded, |next| Excluded((next, None)));
        self.slots.range((Included((vnode, None)), to)).filter_map(named)
    }
}

fn named<'a, V: Join>(
    ((vnode, key), slot): (&'a (u16, Option<V::Key>), &'a Slot<V>),
) -> Option<(u16, &'a V::Key, &'a Slot<V>)> {
    Some((*vnode, key.as_ref()?, slot))
}

fn hashed<V: Join>(key: &V::Key, value: &V) -> u64 {
    let mut hasher = Hasher::default();
    // Neither the hasher nor the spelling of values whose maps have text for keys can fail.
    let _ = serde_json::to_writer(&mut hasher, &(key, value));
    hasher.finish()
}
