//! What can be replicated: values with a join, and the operations that carry them. Carts and sessions are the two.

use std::fmt;

use contract::{
    AtLeastOnce, CartId, Operation, SessionId,
    cart::Cart,
    carts,
    replication::{Asker, OtherView},
    session::Session,
    sessions::{self, Never},
};
use serde::Serialize;

use crate::ring;

/// How long a cart is kept after its last change, in milliseconds: 30 days.
const CART_KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// How long a session is kept after it expired, in milliseconds: an hour, more than clocks differ.
const SESSION_KEPT_MS: i64 = 3_600_000;

/// A value of a join-semilattice, replicated inside one family. Equal values must be spelled alike as JSON: nodes compare
/// hashes of that.
pub trait Join: Clone + PartialEq + Serialize + fmt::Debug + Send + Sync + 'static {
    /// What names it.
    type Key: Ord + Clone + Serialize + fmt::Debug + Send + Sync + 'static;
    /// The family's operation that carries entries to a peer.
    type Merge: Operation<Reply = (), Refusal = Never, Retry = AtLeastOnce>;
    /// The family's operation that asks a peer for many entries, each with when it was last touched.
    type Page: Operation<Reply = Vec<(Self::Key, Self, i64)>, Refusal = OtherView, Retry = AtLeastOnce>;
    /// The family's operation that asks a peer for digests.
    type Digest: Operation<Reply = Vec<u64>, Refusal = OtherView, Retry = AtLeastOnce>;
    /// The family's operation that asks a peer for one entry.
    type Fetch: Operation<Reply = Option<Self>, Refusal = OtherView, Retry = AtLeastOnce>;
    /// Most entries in one message.
    const BATCH_MAX: usize;

    /// The virtual node of a key.
    fn vnode(key: &Self::Key) -> u16;
    /// The join: commutative, associative, idempotent. Returns how much in it contradicted each other, for operators.
    fn merge(&mut self, other: &Self) -> usize;
    /// What this value knows that an earlier state of it did not; joined into that state it is this value.
    fn delta(&self, known: &Self) -> Self {
        let _ = known;
        self.clone()
    }
    /// Whether it remembers what nobody may bring back any more, who was away for no longer than the horizon.
    fn has_to_forget(&self, now_ms: i64, horizon_ms: i64) -> bool {
        let _ = (now_ms, horizon_ms);
        false
    }
    /// Forgets that.
    fn forget(&mut self) {}
    /// An upper estimate of the entry's size in bytes on the wire; a message has a bound of bytes too.
    fn wire_bytes(&self) -> usize;
    /// Until when it is kept, in Unix milliseconds; nobody misses it after that. `touched_ms` is when it was last seen to
    /// change.
    fn kept_until_ms(&self, touched_ms: i64) -> i64;
    /// Whether nobody misses it any more.
    fn is_over(&self, touched_ms: i64, now_ms: i64) -> bool {
        now_ms > self.kept_until_ms(touched_ms)
    }
    /// The request that carries these entries.
    fn merge_request(entries: Vec<(Self::Key, Self)>) -> Self::Merge;
    /// The request for the page after this key, of these virtual nodes or all.
    fn page_request(asker: Asker, vnodes: Vec<u16>, after: Option<Self::Key>) -> Self::Page;
    /// The request for digests of the virtual nodes in these groups, or of all groups.
    fn digest_request(asker: Asker, groups: Vec<u8>) -> Self::Digest;
    /// The request for one entry.
    fn fetch_request(asker: Asker, key: Self::Key) -> Self::Fetch;
}

impl Join for Cart {
    type Key = CartId;
    type Merge = carts::Merge;
    type Page = carts::Page;
    type Digest = carts::Digest;
    type Fetch = carts::Fetch;
    const BATCH_MAX: usize = carts::MERGE_MAX;

    fn vnode(key: &CartId) -> u16 {
        ring::vnode(key.0.as_bytes())
    }

    fn merge(&mut self, other: &Self) -> usize {
        let reused = Self::merge(self, other);
        // T-10, in test builds only: a plain union, which is a join too.
        if runtime::bug("union-merge") {
            for (sku, entries) in &other.lines {
                self.lines.entry(sku.clone()).or_default().extend(entries.iter().map(|(op, entry)| (*op, *entry)));
            }
        }
        reused
    }

    fn delta(&self, known: &Self) -> Self {
        Self::delta(self, known)
    }

    fn has_to_forget(&self, now_ms: i64, horizon_ms: i64) -> bool {
        Self::has_to_forget(self, now_ms, horizon_ms)
    }

    fn forget(&mut self) {
        Self::forget(self);
    }

    fn wire_bytes(&self) -> usize {
        // A dot has 32 digits and travels with an epoch or an entry; a sku has up to 40 characters.
        let entries: usize = self.lines.values().map(|entries| 48 + 64 * entries.len()).sum();
        288 + 64 * self.seen.len() + entries
    }

    fn kept_until_ms(&self, touched_ms: i64) -> i64 {
        touched_ms.saturating_add(CART_KEPT_MS)
    }

    fn merge_request(entries: Vec<(CartId, Self)>) -> carts::Merge {
        carts::Merge { entries }
    }

    fn page_request(asker: Asker, vnodes: Vec<u16>, after: Option<CartId>) -> carts::Page {
        carts::Page { asker, vnodes, after }
    }

    fn digest_request(asker: Asker, groups: Vec<u8>) -> carts::Digest {
        carts::Digest { asker, groups }
    }

    fn fetch_request(asker: Asker, cart: CartId) -> carts::Fetch {
        carts::Fetch { asker, cart }
    }
}

impl Join for Session {
    type Key = SessionId;
    type Merge = sessions::Merge;
    type Page = sessions::Page;
    type Digest = sessions::Digest;
    type Fetch = sessions::Fetch;
    const BATCH_MAX: usize = sessions::MERGE_MAX;

    fn vnode(key: &SessionId) -> u16 {
        ring::vnode(key.as_bytes())
    }

    fn merge(&mut self, other: &Self) -> usize {
        Self::merge(self, other);
        0
    }

    fn wire_bytes(&self) -> usize {
        // An address may double in JSON escapes.
        256 + self.account.as_ref().map_or(0, |account| 96 + 2 * account.email.len())
    }

    fn kept_until_ms(&self, _: i64) -> i64 {
        self.expires_at_ms.saturating_add(SESSION_KEPT_MS)
    }

    fn merge_request(entries: Vec<(SessionId, Self)>) -> sessions::Merge {
        sessions::Merge { entries }
    }

    fn page_request(asker: Asker, vnodes: Vec<u16>, after: Option<SessionId>) -> sessions::Page {
        sessions::Page { asker, vnodes, after }
    }

    fn digest_request(asker: Asker, groups: Vec<u8>) -> sessions::Digest {
        sessions::Digest { asker, groups }
    }

    fn fetch_request(asker: Asker, session: SessionId) -> sessions::Fetch {
        sessions::Fetch { asker, session }
    }
}
