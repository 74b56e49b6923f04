//! A map of joins in a Redis: carts and sessions outside the nodes, shared by all of them, instead of
//! [`crate::Replicated`].
//!
//! - A value is its canonical JSON under `cart:ID` or `session:ID`, and Redis forgets it when nobody misses it any more
//!   ([`Join::kept_until_ms`]), counted by Redis's clock from the last change.
//! - A change reads the value, makes the change here, by the same functions as in replicated memory, and swaps the new
//!   value in if the old one is still there: a compare-and-set, in one script. Who meets another's change makes his own
//!   again on top of it. So there is one implementation of carts, in Rust, and none in Lua.
//! - Every change is a join by dots, so a write that got no answer is simply made again: what was done is found done.
//! - A value that changes nothing is written all the same: its first attempt may be on a master that no replica follows,
//!   and only a write on this connection is what `WAIT` waits for.
//! - Only masters are asked, also to read. Which servers are masters is `view.rs`; connections are `links.rs`; what a
//!   failure proves is `calls.rs`.
//!
//! What is promised is as much as Redis promises, and `?wait=` chooses: docs/sharing-strategies.md.

mod calls;
mod kept;
mod links;
mod uri;
mod view;

use std::{collections::BTreeSet, convert::Infallible, fmt, marker::PhantomData, sync::Arc, time::Duration};

use futures_util::future::join_all;
use runtime::Node;

use self::{
    calls::{Calls, Patience, Swapped},
    links::For,
    uri::Place,
};
pub use self::{kept::Kept, uri::RedisUri};
use crate::{StoreError, replicated::Join};

/// How often Sentinel or Cluster is asked for the masters though nothing failed. A master that was deposed while it was
/// cut off or paused takes calls until somebody tells it; this is the longest that a node of ours goes on calling it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a value is kept at least: one that came too late is still seen by who wrote it.
const KEPT_MIN_MS: i64 = 1_000;
/// Most entries of one message that are joined at once.
const JOINS_AT_ONCE: usize = 16;
/// How many keys one step of a page looks at.
const SCAN_COUNT: usize = 1_000;
/// Longest that collecting a page takes.
const PAGE_WITHIN: Duration = Duration::from_millis(900);
/// Most bytes in a page, well below the 8 MiB that a node takes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The values of one family; clones share the connections.
pub struct RedisMap<V: Kept> {
    calls: Arc<Calls>,
    values: PhantomData<fn() -> V>,
}

impl<V: Kept> Clone for RedisMap<V> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), values: PhantomData }
    }
}

impl<V: Kept> fmt::Debug for RedisMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisMap").field("uri", &self.calls.uri).field("masters", &self.calls.links).finish()
    }
}

impl<V: Kept> RedisMap<V> {
    /// The values in this Redis.
    ///
    /// # Errors
    /// When no master can be found or none lets us in.
    pub async fn open(node: &Node, uri: &RedisUri) -> Result<Self, StoreError> {
        let calls = Calls::new(node, uri.clone());
        calls.open().await?;
        Ok(Self { calls: Arc::new(calls), values: PhantomData })
    }

    /// Waits until the Redis is there. For a node that listens before it opens its store: a call must not wait in the
    /// kernel's queue until then.
    ///
    /// # Errors
    /// Those of [`crate::when_there`].
    pub async fn until_there(node: &Node, setting: &str, uri: &RedisUri) -> Result<(), StoreError> {
        let calls = Calls::new(node, uri.clone());
        crate::when_there(setting, async || calls.open().await).await
    }

    /// Sets the node ready, and keeps looking for the masters until the node stops.
    pub fn start(&self, node: &Node) {
        node.readiness.set_ready();
        if !matches!(self.calls.uri.place, Place::Server(_)) {
            let calls = self.calls.clone();
            node.tasks.spawn_until_stop(async move {
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    calls.look_around(calls.view().number).await;
                }
            });
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When its master cannot be asked, or the value is not understood.
    pub async fn get(&self, key: &V::Key) -> Result<Option<V>, StoreError> {
        let name = full_name::<V>(key);
        let bytes = self.calls.read(&name, &mut Patience::new()).await?;
        read_value(&name, bytes.as_deref())
    }

    /// Changes a value in one atomic step. `change` is given the value so far and returns the new one, which must be at or
    /// above it in the lattice's order, or a refusal, after which nothing is changed. It may be called several times.
    ///
    /// # Errors
    /// [`StoreError::NotExecuted`] and [`StoreError::Conflict`] when nothing was done, [`StoreError::Unknown`] when it may
    /// have been.
    pub async fn update<T, E>(
        &self,
        key: &V::Key,
        change: impl Fn(Option<V>) -> Result<(V, T), E>,
    ) -> Result<Result<T, E>, StoreError> {
        let (name, mut patience) = (full_name::<V>(key), Patience::new());
        let _turn = self.calls.turn(&name, &patience).await?;
        let mut old = self.calls.read(&name, &mut patience).await?;
        loop {
            let (value, answer) = match change(read_value(&name, old.as_deref())?) {
                Ok(changed) => changed,
                Err(_) if patience.is_in_doubt() => {
                    return Err(patience.give_up(format!("{name}: refused, after a try that got no answer")));
                }
                Err(refusal) => return Ok(Err(refusal)),
            };
            let new = serde_json::to_vec(&value)?;
            let now_ms = self.calls.seams.now_ms();
            let kept_ms = value.kept_until_ms(now_ms).saturating_sub(now_ms).max(KEPT_MIN_MS);
            match self.calls.swap(&name, (old.as_deref(), &new), kept_ms, &mut patience).await? {
                Swapped::Done => return Ok(Ok(answer)),
                Swapped::Met(there) => old = there,
            }
            self.calls.met(&name, &mut patience).await?;
        }
    }

    /// Joins entries that another node or site sent.
    ///
    /// # Errors
    /// When not all of them could be joined; those that could are kept, and the sender sends again.
    pub async fn merge(&self, entries: Vec<(V::Key, V)>) -> Result<(), StoreError> {
        let mut done = Ok(());
        for some in entries.chunks(JOINS_AT_ONCE) {
            let joined = join_all(some.iter().map(async |(key, value)| {
                let joined = self.update(key, |known| {
                    let merged = match known {
                        Some(mut known) => {
                            Join::merge(&mut known, value);
                            known
                        }
                        None => value.clone(),
                    };
                    Ok::<_, Infallible>((merged, ()))
                });
                joined.await.map(|Ok(())| ())
            }));
            done = joined.await.into_iter().fold(done, Result::and);
        }
        done
    }

    /// The next entries in order of key, at most [`Join::BATCH_MAX`]; empty at the end.
    ///
    /// Redis keeps no order, so each page looks at all keys: 1 s for each million. An index would have to live in one slot
    /// of a Cluster and could not be written together with the values. Nodes that share a Redis have nothing to copy from
    /// each other, so only tests and tools ask for pages.
    ///
    /// # Errors
    /// When not every master can be asked within its time, or a value is not understood.
    pub async fn page(&self, after: Option<&V::Key>) -> Result<Vec<(V::Key, V)>, StoreError> {
        let mut after = after.cloned();
        loop {
            let next = tokio::time::timeout(PAGE_WITHIN, self.next_keys(after.as_ref())).await;
            let next = next.map_err(|_| StoreError::NotExecuted("there are too many keys for a page".to_owned()))??;
            let page = self.read_page(&next).await?;
            // All of them may be gone since they were listed, and an empty page would be the end.
            if next.is_empty() || !page.is_empty() {
                return Ok(page);
            }
            after = next.into_iter().next_back();
        }
    }

    async fn read_page(&self, keys: &BTreeSet<V::Key>) -> Result<Vec<(V::Key, V)>, StoreError> {
        let names: Vec<String> = keys.iter().map(full_name::<V>).collect();
        let read = join_all(names.iter().map(async |name| self.calls.read(name, &mut Patience::new()).await));
        let (mut page, mut bytes) = (Vec::with_capacity(keys.len()), 0);
        for ((key, name), value) in keys.iter().zip(&names).zip(read.await) {
            let Some(value) = value? else { continue };
            bytes += value.len();
            if !page.is_empty() && bytes > PAGE_BYTES_MAX {
                break;
            }
            page.extend(read_value(name, Some(&value))?.map(|value| (key.clone(), value)));
        }
        Ok(page)
    }

    /// The smallest keys after this one, of all masters.
    async fn next_keys(&self, after: Option<&V::Key>) -> Result<BTreeSet<V::Key>, StoreError> {
        let failed = |error: &dyn fmt::Display| StoreError::NotExecuted(format!("{}*: {error}", V::PREFIX));
        let mut next = BTreeSet::new();
        for master in self.calls.view().masters() {
            let link = self.calls.links.get(master, For::Reading).await;
            let mut link = link.map_err(|why| failed(&why.reason))?;
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(format!("{}*", V::PREFIX)).arg("COUNT").arg(SCAN_COUNT);
                let (at, names): (u64, Vec<String>) =
                    scan.query_async(&mut link.connection).await.map_err(|error| failed(&error))?;
                for key in names.iter().filter_map(|name| V::key(name.strip_prefix(V::PREFIX)?)) {
                    if after.is_none_or(|after| key > *after) {
                        next.insert(key);
                    }
                    if next.len() > V::BATCH_MAX {
                        next.pop_last();
                    }
                }
                if at == 0 {
                    break;
                }
                cursor = at;
            }
        }
        Ok(next)
    }
}

fn full_name<V: Kept>(key: &V::Key) -> String {
    format!("{}{}", V::PREFIX, V::name(key))
}

fn read_value<V: Kept>(name: &str, bytes: Option<&[u8]>) -> Result<Option<V>, StoreError> {
    let read = bytes.map(serde_json::from_slice).transpose();
    read.map_err(|error| StoreError::Corrupt(format!("{name}: {error}")))
}
