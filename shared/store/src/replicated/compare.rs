//! Comparing digests: what repairs every difference that nothing else accounts for (CART-13).
//!
//! Every 2 s a node asks each of its peers for digests of the virtual nodes that both are to hold: first one for each of
//! 256 groups, then, where these differ, one for each virtual node of the group, and copies the entries of those that
//! differ. It only takes; the peer does the same the other way. So either can be old, new or wrong, and both end with the
//! join. Equal nodes exchange 256 numbers.
//!
//! A round takes a bounded number of pages from each peer, and the next goes on where it stopped.

use std::{sync::atomic::Ordering, time::Duration};

use contract::{
    CallError,
    replication::{Asker, OtherView},
};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    Join, PeerError, Replicated,
    entries::GROUP,
    keeper::BATCH_WITHIN,
    peers::within,
    state::Copied,
    state::{State, bounded},
};

/// How often digests are compared.
pub(super) const COMPARE_EVERY: Duration = Duration::from_secs(2);
/// Most groups in one request.
const GROUPS_MAX: usize = 16;
/// Most pages taken from one peer in one round.
const PAGES_PER_ROUND: usize = 200;

impl<V: Join> Replicated<V> {
    pub(super) async fn keep_compared(self) {
        loop {
            self.compare().await;
            sleep(COMPARE_EVERY).await;
        }
    }

    /// One round: copies from each peer what differs.
    pub async fn compare(&self) {
        let (view, peers) = {
            let mut state = self.lock();
            state.align(&self.0.peers.list());
            // Who is silent is asked by the repair whether it answers.
            let heard = state.peers.iter().filter(|(_, peer)| !peer.is_suspect).map(|(name, _)| name.clone());
            (state.ring.view(), heard.collect::<Vec<_>>())
        };
        let compared = join_all(peers.iter().map(|peer| self.compare_with(peer, view))).await;
        for (peer, compared) in peers.iter().zip(compared) {
            if let Err(error) = &compared {
                tracing::debug!(peer, %error, "not compared with this peer");
            }
            self.lock().heard(peer, &compared);
        }
        self.0.rounds.fetch_add(1, Ordering::Relaxed);
    }

    async fn compare_with(&self, peer: &str, view: u64) -> Result<(), PeerError> {
        let theirs = within(BATCH_WITHIN, self.0.peers.digest(peer, view, &[])).await?;
        let (mine, from) = {
            let state = self.lock();
            (state.digests(peer, &[]), state.peers.get(peer).map_or(0, |peer| peer.compare_from))
        };
        let mut groups: Vec<u8> = differing(0..=u8::MAX, &mine, &theirs);
        let done_before = groups.partition_point(|group| *group < from);
        groups.rotate_left(done_before);
        let mut pages = PAGES_PER_ROUND;
        for chunk in groups.chunks(GROUPS_MAX) {
            let theirs = within(BATCH_WITHIN, self.0.peers.digest(peer, view, chunk)).await?;
            let mine = self.lock().digests(peer, chunk);
            let vnodes = differing(vnodes_of(chunk.iter().copied()), &mine, &theirs);
            self.0.differences.fetch_add(vnodes.len(), Ordering::Relaxed);
            if !vnodes.is_empty() && !self.take_all(peer, view, &vnodes, &mut pages).await? {
                if let (Some(peer), Some(next)) = (self.lock().peers.get_mut(peer), chunk.first()) {
                    peer.compare_from = *next;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Copies these virtual nodes; whether all of them before the pages ran out.
    async fn take_all(&self, peer: &str, view: u64, vnodes: &[u16], pages: &mut usize) -> Result<bool, PeerError> {
        let mut after = None;
        while *pages > 0 {
            *pages -= 1;
            let page = within(BATCH_WITHIN, self.0.peers.page(peer, view, vnodes, after.take())).await?;
            let Some((last, ..)) = page.last() else { return Ok(true) };
            after = Some(last.clone());
            self.take(peer, &page);
        }
        Ok(false)
    }

    /// Joins entries that were copied from a peer, but for those that are over: the peer may not have dropped them yet.
    pub(super) fn take(&self, peer: &str, page: &[Copied<V>]) {
        let now_ms = self.0.seams.now_ms();
        let mut state = self.lock();
        let live = page.iter().filter(|(_, value, touched_ms)| !value.is_over(*touched_ms, now_ms));
        let joined = live.map(|(key, value, touched_ms)| state.join(key, value, *touched_ms));
        if let Err(error) = joined.fold(Ok(()), Result::and) {
            tracing::warn!(peer, %error, "cannot hold all that this peer has");
        }
    }

    /// Entries that a peer is to hold, for it to copy: of these virtual nodes, in rising order, or of all.
    ///
    /// # Errors
    /// Refused when the peer knows other members. *Not executed* while what we know may be too old.
    pub fn page_for(
        &self,
        asker: &Asker,
        vnodes: &[u16],
        after: Option<&V::Key>,
    ) -> Result<Vec<Copied<V>>, CallError<OtherView>> {
        if vnodes.len() > GROUPS_MAX * GROUP {
            return Err(CallError::NotExecuted(format!("more than {} virtual nodes", GROUPS_MAX * GROUP)));
        }
        let state = self.asked(asker)?;
        let Some(number) = state.ring.number_of(&asker.member) else {
            return Err(CallError::Refused(OtherView { view: state.ring.view() }));
        };
        let (from, all) = (after.map(V::vnode), vnodes.is_empty());
        if all {
            let entries = state.entries.after(after).filter(|(vnode, ..)| state.ring.is_primary(number, *vnode));
            return Ok(bounded::<V>(entries.map(|(_, key, slot)| (key, slot))));
        }
        let wanted = vnodes.iter().filter(|vnode| from.is_none_or(|from| **vnode >= from));
        let entries = wanted.filter(|vnode| state.ring.is_primary(number, **vnode)).flat_map(|vnode| {
            // Within a virtual node entries are in order of key.
            state.entries.of(*vnode).filter(|(vnode, key, _)| from != Some(*vnode) || after < Some(*key))
        });
        Ok(bounded::<V>(entries.map(|(_, key, slot)| (key, slot))))
    }

    /// Digests of what we and a peer are to hold: of the virtual nodes in these groups, or of all groups.
    ///
    /// # Errors
    /// Refused when the peer knows other members. *Not executed* while what we know may be too old.
    pub fn digest_for(&self, asker: &Asker, groups: &[u8]) -> Result<Vec<u64>, CallError<OtherView>> {
        if groups.len() > GROUPS_MAX {
            return Err(CallError::NotExecuted(format!("more than {GROUPS_MAX} groups")));
        }
        Ok(self.asked(asker)?.digests(&asker.member, groups))
    }
}

impl<V: Join> State<V> {
    /// Digests of the virtual nodes in these groups, or one of each group if none is named. A virtual node that not both
    /// are to hold counts as empty.
    pub(super) fn digests(&self, peer: &str, groups: &[u8]) -> Vec<u64> {
        let Some(number) = self.peers.get(peer).map(|peer| peer.number) else { return Vec::new() };
        let is_shared = |vnode| self.ring.is_primary(self.own, vnode) && self.ring.is_primary(number, vnode);
        let shared = |group: u8| {
            let vnodes = vnodes_of([group]).zip(self.entries.digests(group).0);
            vnodes.map(|(vnode, digest)| if *digest != 0 && is_shared(vnode) { *digest } else { 0 })
        };
        if !groups.is_empty() {
            return groups.iter().copied().flat_map(shared).collect();
        }
        let sum = |group| match self.entries.digests(group).1 {
            // Everything of it is shared, or nothing is there: the usual cases, and 256 times as fast.
            sum if sum == 0 || self.ring.is_everything() => sum,
            _ => shared(group).fold(0, |sum, digest| sum ^ digest),
        };
        (0..=u8::MAX).map(sum).collect()
    }
}

fn vnodes_of(groups: impl IntoIterator<Item = u8>) -> impl Iterator<Item = u16> {
    groups.into_iter().flat_map(|group| (0..=u8::MAX).map(move |vnode| u16::from_be_bytes([group, vnode])))
}

/// Those whose digests differ, also because one side has none.
fn differing<T>(of: impl IntoIterator<Item = T>, mine: &[u64], theirs: &[u64]) -> Vec<T> {
    of.into_iter().enumerate().filter(|(at, _)| mine.get(*at) != theirs.get(*at)).map(|(_, which)| which).collect()
}
