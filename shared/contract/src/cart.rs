//! The cart as a join-semilattice: what carts nodes hold, replicate and merge (semantics 4.3, CART-1 to CART-8).
//!
//! Every operation is named by its dot, the hash of the client's request key, so a retry that reaches two nodes counts
//! once, and a removal that arrives before the add it removes needs no waiting list: the dot is simply already `seen`.
//! `seen` holds every dot ever met, live or dropped. An entry that one side lacks was removed there if that side has seen
//! its dot, and has not arrived yet otherwise. A plain union of the lines would also be commutative, associative and
//! idempotent, and would bring removed lines back; only the look at `seen` prevents that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{OpId, Sku};

/// Most operations one cart takes in one epoch.
pub const OPS_PER_EPOCH_MAX: usize = 2_000;
/// Most dots a cart remembers over all epochs; beyond it the customer starts a new cart.
pub const OPS_MAX: usize = 20_000;
/// Most pieces of one product in a cart.
pub const QUANTITY_MAX: u32 = 999;

/// What one live operation says about one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// So many pieces more.
    Add(u32),
    /// Exactly so many pieces, in place of what the customer saw.
    Set(u32),
}

/// One cart. Two carts with the same operations are equal, also as JSON, whatever order they arrived in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cart {
    /// How many checkouts this cart has been through.
    pub epoch: u64,
    /// Every dot ever met, with the newest epoch it was met in.
    pub seen: BTreeMap<OpId, u64>,
    /// The live entries. No product without entries is kept.
    pub lines: BTreeMap<Sku, BTreeMap<OpId, Entry>>,
}

/// A cart that has taken its bound of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this cart has taken its {OPS_PER_EPOCH_MAX} changes: check out or start a new one")]
pub struct CartFull;

impl Cart {
    /// Adds pieces of a product; a repeat of the same dot changes nothing.
    ///
    /// # Errors
    /// [`CartFull`] at the bound of operations; nothing was changed.
    pub fn add(&mut self, op: OpId, sku: &Sku, quantity: u32) -> Result<(), CartFull> {
        self.apply(op, sku, &[], Some(Entry::Add(quantity)))
    }

    /// Replaces what the customer saw of a product (`observed`) by an exact quantity.
    ///
    /// # Errors
    /// [`CartFull`] at the bound of operations; nothing was changed.
    pub fn set(&mut self, op: OpId, sku: &Sku, observed: &[OpId], quantity: u32) -> Result<(), CartFull> {
        self.apply(op, sku, observed, Some(Entry::Set(quantity)))
    }

    /// Removes what the customer saw of a product (`observed`); adds made elsewhere meanwhile stay.
    ///
    /// # Errors
    /// [`CartFull`] at the bound of operations; nothing was changed.
    pub fn remove(&mut self, op: OpId, sku: &Sku, observed: &[OpId]) -> Result<(), CartFull> {
        self.apply(op, sku, observed, None)
    }

    /// Ends an epoch after a checkout: drops exactly the bought operations and keeps every other line (CO-14).
    pub fn clear(&mut self, epoch: u64, bought: &[OpId]) {
        for op in bought {
            self.see(*op, epoch);
        }
        self.drop_ops(bought);
        self.epoch = self.epoch.max(epoch.saturating_add(1));
    }

    /// Takes over another cart's operations without its epochs: a guest's cart at login. Repeating it changes nothing.
    pub fn adopt(&mut self, guest: &Self) {
        let mut guest = guest.clone();
        guest.epoch = 0;
        for epoch in guest.seen.values_mut() {
            *epoch = self.epoch;
        }
        self.merge(&guest);
    }

    /// The join: afterwards this cart knows what either knew. Commutative, associative and idempotent.
    pub fn merge(&mut self, other: &Self) {
        for (sku, theirs) in &other.lines {
            let mine = self.lines.entry(sku.clone()).or_default();
            for (op, entry) in theirs {
                if let Some(known) = mine.get_mut(op) {
                    // One dot with two contents: a client reused a key. Any rule serves if all replicas share it.
                    *known = (*known).max(*entry);
                } else if !self.seen.contains_key(op) {
                    mine.insert(*op, *entry);
                }
            }
        }
        for (sku, mine) in &mut self.lines {
            let theirs = other.lines.get(sku);
            mine.retain(|op, _| theirs.is_some_and(|lines| lines.contains_key(op)) || !other.seen.contains_key(op));
        }
        self.lines.retain(|_, entries| !entries.is_empty());
        for (op, epoch) in &other.seen {
            self.see(*op, *epoch);
        }
        self.epoch = self.epoch.max(other.epoch);
    }

    /// Pieces of a product: the largest live `Set` plus all live `Add`s, at most [`QUANTITY_MAX`] (CART-6).
    #[must_use]
    pub fn quantity(&self, sku: &Sku) -> u32 {
        let Some(entries) = self.lines.get(sku) else { return 0 };
        let (mut set, mut added) = (0_u32, 0_u32);
        for entry in entries.values() {
            match entry {
                Entry::Set(quantity) => set = set.max(*quantity),
                Entry::Add(quantity) => added = added.saturating_add(*quantity),
            }
        }
        set.saturating_add(added).min(QUANTITY_MAX)
    }

    /// The products with at least one piece, in order of sku.
    pub fn contents(&self) -> impl Iterator<Item = (&Sku, u32, Vec<OpId>)> {
        self.lines.iter().filter_map(|(sku, entries)| {
            let quantity = self.quantity(sku);
            (quantity > 0).then(|| (sku, quantity, entries.keys().copied().collect()))
        })
    }

    fn apply(&mut self, op: OpId, sku: &Sku, observed: &[OpId], entry: Option<Entry>) -> Result<(), CartFull> {
        if self.seen.contains_key(&op) {
            return Ok(());
        }
        let in_epoch = self.seen.values().filter(|epoch| **epoch == self.epoch).count();
        if in_epoch + 1 + observed.len() > OPS_PER_EPOCH_MAX || self.seen.len() + 1 + observed.len() > OPS_MAX {
            return Err(CartFull);
        }
        let epoch = self.epoch;
        for dropped in observed {
            self.see(*dropped, epoch);
        }
        self.drop_ops(observed);
        self.see(op, epoch);
        if let Some(entry) = entry {
            self.lines.entry(sku.clone()).or_default().insert(op, entry);
        }
        Ok(())
    }

    fn see(&mut self, op: OpId, epoch: u64) {
        let known = self.seen.entry(op).or_insert(epoch);
        *known = (*known).max(epoch);
    }

    fn drop_ops(&mut self, ops: &[OpId]) {
        for entries in self.lines.values_mut() {
            entries.retain(|op, _| !ops.contains(op));
        }
        self.lines.retain(|_, entries| !entries.is_empty());
    }
}
