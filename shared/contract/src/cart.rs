//! The cart as a join-semilattice: what carts nodes hold, replicate and merge (semantics 4.3, CART-1 to CART-8).
//!
//! Every operation is named by its dot, the hash of the client's request key, so a retry that reaches two nodes counts
//! once, and a removal that arrives before the add it removes needs no waiting list: the dot is simply already `seen`.
//! `seen` holds every dot ever met, live or dropped. An entry that one side lacks was removed there if that side has seen
//! its dot, and has not arrived yet otherwise. A plain union of the lines would also be commutative, associative and
//! idempotent, and would bring removed lines back; only the look at `seen` prevents that.
//!
//! `seen` would grow for ever. When an epoch has been over for longer than any replica may have been away (the horizon,
//! CART-8), its dots are forgotten and `floor` says so: from then on a dot of an older epoch that is not live here counts
//! as seen. That is no longer a join for replicas that stayed away longer, which therefore never merge.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{CartId, OpId, Sku, carts::CartRefusal};

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
    /// When the newest epoch began, in Unix milliseconds; 0 before the first checkout.
    pub epoch_began_ms: i64,
    /// Epochs below this one are forgotten: of their dots only the live ones are in `seen`.
    pub floor: u64,
    /// Every dot ever met, but for forgotten ones, with the newest epoch it was met in.
    pub seen: BTreeMap<OpId, u64>,
    /// The live entries. No product without entries is kept.
    pub lines: BTreeMap<Sku, BTreeMap<OpId, Entry>>,
    /// The account's cart that took over this guest's cart at login: what is bought here later goes there too.
    pub adopted_by: Option<CartId>,
}

impl Cart {
    /// Adds pieces of a product; a repeat of the same dot changes nothing.
    ///
    /// # Errors
    /// [`CartRefusal`]; nothing was changed.
    pub fn add(&mut self, op: OpId, sku: &Sku, quantity: u32) -> Result<(), CartRefusal> {
        self.apply(op, sku, &[], Some(Entry::Add(quantity)))
    }

    /// Replaces what the customer saw of a product (`observed`) by an exact quantity.
    ///
    /// # Errors
    /// [`CartRefusal`]; nothing was changed.
    pub fn set(&mut self, op: OpId, sku: &Sku, observed: &[OpId], quantity: u32) -> Result<(), CartRefusal> {
        self.apply(op, sku, observed, Some(Entry::Set(quantity)))
    }

    /// Removes what the customer saw of a product (`observed`); adds made elsewhere meanwhile stay.
    ///
    /// # Errors
    /// [`CartRefusal`]; nothing was changed.
    pub fn remove(&mut self, op: OpId, sku: &Sku, observed: &[OpId]) -> Result<(), CartRefusal> {
        self.apply(op, sku, observed, None)
    }

    /// Ends an epoch after a checkout: drops exactly the bought operations and keeps every other line (CO-14).
    pub fn clear(&mut self, epoch: u64, bought: &[OpId], now_ms: i64) {
        for op in bought {
            self.see(*op, epoch);
        }
        self.drop_ops(bought);
        let next = epoch.saturating_add(1);
        if next > self.epoch {
            (self.epoch, self.epoch_began_ms) = (next, now_ms);
        }
    }

    /// Takes over another cart's operations without its epochs: a guest's cart at login. Repeating it changes nothing.
    pub fn adopt(&mut self, guest: &Self) {
        let mut guest = guest.clone();
        (guest.epoch, guest.epoch_began_ms, guest.floor, guest.adopted_by) = (0, 0, 0, None);
        for epoch in guest.seen.values_mut() {
            *epoch = self.epoch;
        }
        self.merge(&guest);
    }

    /// The join: afterwards this cart knows what either knew. Commutative, associative and idempotent.
    ///
    /// Returns how many dots had another content there: a client reused a key (CART-7). The larger content wins; any
    /// rule serves if all replicas share it.
    pub fn merge(&mut self, other: &Self) -> usize {
        let mut reused = 0;
        for (sku, theirs) in &other.lines {
            let mine = self.lines.entry(sku.clone()).or_default();
            for (op, entry) in theirs {
                if let Some(known) = mine.get_mut(op) {
                    reused += usize::from(known != entry);
                    *known = (*known).max(*entry);
                } else if !has_seen(&self.seen, self.floor, op, other.seen.get(op)) {
                    mine.insert(*op, *entry);
                }
            }
        }
        for (sku, mine) in &mut self.lines {
            let theirs = other.lines.get(sku);
            mine.retain(|op, _| {
                theirs.is_some_and(|lines| lines.contains_key(op))
                    || !has_seen(&other.seen, other.floor, op, self.seen.get(op))
            });
        }
        self.lines.retain(|_, entries| !entries.is_empty());
        for (op, epoch) in &other.seen {
            self.see(*op, *epoch);
        }
        (self.epoch, self.epoch_began_ms) = (self.epoch, self.epoch_began_ms).max((other.epoch, other.epoch_began_ms));
        self.adopted_by = self.adopted_by.max(other.adopted_by);
        self.forget_below(self.floor.max(other.floor));
        reused
    }

    /// What this cart knows that `known`, an earlier state of it, did not: `known` joined with it is this cart again, and
    /// joined into any other cart it does what the changes since did.
    #[must_use]
    pub fn delta(&self, known: &Self) -> Self {
        let new = |op: &OpId, epoch: &u64| known.seen.get(op) != Some(epoch);
        let mut delta = self.clone_heads();
        delta.seen.extend(self.seen.iter().filter(|(op, epoch)| new(op, epoch)).map(|(op, epoch)| (*op, *epoch)));
        for (sku, entries) in &known.lines {
            let mine = self.lines.get(sku);
            let gone = entries.keys().filter(|op| mine.is_none_or(|mine| !mine.contains_key(op)));
            delta.seen.extend(gone.filter_map(|op| Some((*op, *self.seen.get(op)?))));
        }
        for (sku, entries) in &self.lines {
            let before = known.lines.get(sku);
            for (op, entry) in entries {
                let is_news = before.and_then(|before| before.get(op)) != Some(entry) || delta.seen.contains_key(op);
                if is_news {
                    delta.seen.extend(self.seen.get(op).map(|epoch| (*op, *epoch)));
                    delta.lines.entry(sku.clone()).or_default().insert(*op, *entry);
                }
            }
        }
        delta
    }

    /// Whether epochs before this one are remembered that have been over for longer than `horizon_ms`: no replica that has
    /// not heard of their end may merge any more.
    #[must_use]
    pub const fn has_to_forget(&self, now_ms: i64, horizon_ms: i64) -> bool {
        self.floor < self.epoch && now_ms.saturating_sub(self.epoch_began_ms) > horizon_ms
    }

    /// Forgets the epochs before this one.
    pub fn forget(&mut self) {
        self.forget_below(self.epoch);
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

    fn apply(&mut self, op: OpId, sku: &Sku, observed: &[OpId], entry: Option<Entry>) -> Result<(), CartRefusal> {
        if self.seen.contains_key(&op) {
            return self.is_repeat(op, sku, entry).then_some(()).ok_or(CartRefusal::KeyReused);
        }
        let in_epoch = self.seen.values().filter(|epoch| **epoch == self.epoch).count();
        if in_epoch + 1 + observed.len() > OPS_PER_EPOCH_MAX || self.seen.len() + 1 + observed.len() > OPS_MAX {
            return Err(CartRefusal::CartFull);
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

    /// Whether a dot that was seen before comes with the content it had. What is no longer live may have had any.
    fn is_repeat(&self, op: OpId, sku: &Sku, entry: Option<Entry>) -> bool {
        let known = self.lines.iter().find_map(|(sku, entries)| Some((sku, *entries.get(&op)?)));
        known.is_none_or(|(known_sku, known)| known_sku == sku && Some(known) == entry)
    }

    fn forget_below(&mut self, floor: u64) {
        self.floor = floor;
        if floor == 0 {
            return;
        }
        let live: BTreeSet<OpId> = self.lines.values().flat_map(|entries| entries.keys().copied()).collect();
        self.seen.retain(|op, epoch| *epoch >= floor || live.contains(op));
    }

    /// All but what grows.
    fn clone_heads(&self) -> Self {
        let Self { epoch, epoch_began_ms, floor, adopted_by, .. } = *self;
        Self { epoch, epoch_began_ms, floor, adopted_by, ..Self::default() }
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

/// Whether a dot that is not live in a cart was seen there. `met_in` is the epoch that the other cart met it in.
fn has_seen(seen: &BTreeMap<OpId, u64>, floor: u64, op: &OpId, met_in: Option<&u64>) -> bool {
    seen.contains_key(op) || met_in.is_some_and(|epoch| *epoch < floor)
}
