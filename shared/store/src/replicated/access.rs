//! The paths of a read and of a write, through the nodes that hold the key.

use std::time::Duration;

use contract::{
    CallError,
    replication::{Asker, OtherView},
};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{ACK_WITHIN, Join, PeerError, Replicated, holders::Holders, peers::within, state::News};
use crate::StoreError;

/// How often, and at which distance, a node asks again while the members do not agree who they are.
const VIEW_TRIES: usize = 10;
const VIEW_PAUSE: Duration = Duration::from_millis(100);

impl<V: Join> Replicated<V> {
    /// The value of a key, asked of its holders if we are none.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] while the nodes do not agree who they are.
    pub async fn read(&self, key: &V::Key) -> Result<Option<V>, StoreError> {
        for _ in 0..VIEW_TRIES {
            let holders = {
                let mut state = self.lock();
                state.align(&self.0.peers.list());
                if state.is_ours(key) {
                    return Ok(state.entries.get(key).cloned());
                }
                state.holders(key)
            };
            match self.fetch(key, holders).await {
                Ok(value) => return Ok(value),
                Err(OtherView { .. }) => {
                    self.0.peers.refresh().await;
                    sleep(VIEW_PAUSE).await;
                }
            }
        }
        Err(StoreError::NotExecuted(
            "the nodes of this family do not agree who they are; do all have the same --peers, --site and --remote?"
                .to_owned(),
        ))
    }

    /// Asks the holders for their copies and joins them with ours, if we have one. Copies of primaries that differ from
    /// that are repaired: we take the whole for a while, as one that is to be handed over.
    async fn fetch(&self, key: &V::Key, mut holders: Holders) -> Result<Option<V>, OtherView> {
        let (mut copies, mut is_last_resort) = (Vec::new(), false);
        loop {
            let mut wave = holders.wave();
            // Before we say that there is nothing we ask even those who were silent: a false suspicion may cost time.
            if wave.is_empty() && !is_last_resort && copies.iter().all(|(_, copy): &(_, Option<V>)| copy.is_none()) {
                is_last_resort = true;
                wave = holders.passed_over();
            }
            if wave.is_empty() {
                break;
            }
            let asked = wave.iter().map(async |peer| {
                let copy = within(ACK_WITHIN, self.0.peers.fetch(peer, holders.view, key)).await;
                self.lock().heard(peer, &copy);
                copy
            });
            let answers = join_all(asked).await;
            for (peer, answer) in wave.into_iter().zip(answers) {
                match answer {
                    Ok(copy) => {
                        holders.answered();
                        copies.push((peer, copy));
                    }
                    Err(PeerError::OtherView(view)) => return Err(OtherView { view }),
                    Err(error) => tracing::debug!(peer, %error, "a read goes on without this peer"),
                }
            }
        }
        let mut state = self.lock();
        let known = copies.iter().filter_map(|(_, copy)| copy.as_ref()).chain(state.entries.get(key));
        let Some(whole) = known.cloned().reduce(|mut whole, copy| {
            whole.merge(&copy);
            whole
        }) else {
            return Ok(None);
        };
        let vnode = V::vnode(key);
        let is_behind = copies.iter().any(|(peer, copy)| {
            let peer = state.peers.get(peer).is_some_and(|peer| state.ring.is_primary(peer.number, vnode));
            peer && copy.as_ref() != Some(&whole)
        });
        if is_behind {
            let now_ms = self.0.seams.now_ms();
            // If there is no room for it the digests do the same later.
            let _ = state.join(key, &whole, now_ms);
        }
        Ok(Some(whole))
    }

    /// Changes a value and returns once as many nodes as the strategy says have the new one, or all that can be reached.
    /// `change` is given the value so far and returns the new one, which must be at or above it in the lattice's order,
    /// or a refusal, after which nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when a new key would exceed the bound of entries, or while the nodes do not agree who
    /// they are.
    pub async fn update<T, E>(
        &self,
        key: V::Key,
        change: impl FnOnce(Option<V>) -> Result<(V, T), E>,
    ) -> Result<Result<T, E>, StoreError> {
        let others = self.0.peers.list();
        let is_ours = {
            let mut state = self.lock();
            state.align(&others);
            state.is_ours(&key)
        };
        let mut known = if is_ours { None } else { self.read(&key).await? };
        let now_ms = self.0.seams.now_ms();
        let (answer, news, holders) = {
            let mut state = self.lock();
            if let Some(copy) = state.entries.get(&key) {
                match &mut known {
                    Some(known) => {
                        known.merge(copy);
                    }
                    None => known = Some(copy.clone()),
                }
            }
            let (value, answer) = match change(known) {
                Ok(changed) => changed,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (news, holders) = state.write(key, value, now_ms)?;
            (answer, news, holders)
        };
        self.spread(news, holders).await;
        Ok(Ok(answer))
    }

    /// Gives an entry to its holders: to all at once, then to as many more members as failed.
    async fn spread(&self, news: News<V>, mut holders: Holders) {
        loop {
            let wave = holders.wave();
            if wave.is_empty() {
                return;
            }
            let sends = wave.iter().map(async |peer| {
                let sent = within(ACK_WITHIN, self.0.peers.merge(peer, news.of(peer))).await;
                if let Err(error) = &sent {
                    tracing::debug!(peer, %error, "a write goes on without this peer");
                }
                self.lock().settle(peer, &news.marks, &sent);
                sent
            });
            join_all(sends).await.iter().filter(|sent| sent.is_ok()).for_each(|_| holders.answered());
        }
    }

    /// Our copy of a key, for a peer that holds none.
    ///
    /// # Errors
    /// Refused when the peer knows other members. *Not executed* while we copy and cannot say that there is none.
    pub fn copy_of(&self, asker: &Asker, key: &V::Key) -> Result<Option<V>, CallError<OtherView>> {
        let state = self.asked(asker)?;
        match state.entries.get(key) {
            None if state.is_filling => Err(CallError::NotExecuted("this node is still copying".to_owned())),
            copy => Ok(copy.cloned()),
        }
    }

    /// Joins entries that a peer sent.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] when entries did not fit, or when we are leaving; what was taken is kept, and the peer
    /// sends again or turns to another.
    pub fn merge(&self, entries: Vec<(V::Key, V)>) -> Result<(), StoreError> {
        let now_ms = self.0.seams.now_ms();
        let mut state = self.lock();
        if state.is_leaving {
            return Err(StoreError::NotExecuted("this node is leaving".to_owned()));
        }
        let joined = entries.iter().map(|(key, value)| state.join(key, value, now_ms));
        joined.fold(Ok(()), Result::and)
    }
}
