//! Leaving: a node that drains takes no more entries, gives what it holds to those that hold it without it, and ends.
//!
//! What a holder has acknowledged already is not sent again, so under *everything*, and with as many copies as nodes,
//! there is nothing to do. Bounded in time: what could not be handed over is counted in the log, and is lost only if no
//! other copy exists, as always under *nothing*.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use runtime::Node;
use tokio::time::timeout;

use super::{
    Join, Replicated,
    keeper::BATCH_WITHIN,
    peers::within,
    state::{State, bounded},
};

/// How long handing over may take: less than a node has for draining.
const LEAVE_WITHIN: Duration = Duration::from_millis(1_500);

/// How far handing over has got; kept when the time is over.
struct Leaving<K> {
    after: Option<K>,
    /// Peers that did not take what they were sent; others stand in for them.
    failed: BTreeSet<String>,
    /// Keys that nobody else holds.
    kept: usize,
}

/// A step of it: some entries, each for those who lack it.
struct Step<V: Join> {
    last: V::Key,
    sends: BTreeMap<String, Vec<(V::Key, V)>>,
    kept: usize,
}

impl<V: Join> Replicated<V> {
    /// Waits until the node is told to end, then hands over.
    pub(super) async fn leave_at_the_end(self, node: Node) {
        node.tasks.stopping().await;
        self.leave().await;
    }

    /// Hands over everything; returns how many keys no other node is known to hold.
    pub async fn leave(&self) -> usize {
        self.lock().is_leaving = true;
        let mut leaving = Leaving { after: None, failed: BTreeSet::new(), kept: 0 };
        let _ = timeout(LEAVE_WITHIN, self.hand_over(&mut leaving)).await;
        let kept = leaving.kept + self.lock().entries.after(leaving.after.as_ref()).count();
        if kept > 0 {
            tracing::warn!(keys = kept, "left without handing over these: no peer took them in time");
        }
        kept
    }

    async fn hand_over(&self, leaving: &mut Leaving<V::Key>) {
        loop {
            let Some(step) = self.lock().next_step(leaving) else { return };
            let sends = step.sends.iter().map(async |(peer, entries)| {
                let sent = within(BATCH_WITHIN, self.0.peers.merge(peer, entries)).await;
                sent.is_err().then(|| peer.clone())
            });
            let failed: Vec<_> = join_all(sends).await.into_iter().flatten().collect();
            // A step that failed is made again without those peers; there are only so many.
            if failed.is_empty() {
                leaving.after = Some(step.last);
                leaving.kept += step.kept;
            }
            leaving.failed.extend(failed);
        }
    }
}

impl<V: Join> State<V> {
    fn next_step(&self, leaving: &Leaving<V::Key>) -> Option<Step<V>> {
        let next = bounded::<V>(self.entries.after(leaving.after.as_ref()).map(|(_, key, slot)| (key, slot)));
        let mut step = Step { last: next.last()?.0.clone(), sends: BTreeMap::new(), kept: 0 };
        for (key, value, _) in next {
            let vnode = V::vnode(&key);
            let (copies, order) = self.ring.preference(self.own, vnode);
            let names = order.into_iter().filter_map(|number| self.ring.members().get(number));
            let others = names.filter_map(|member| Some((&member.name, self.peers.get(&member.name)?)));
            let able = others.filter(|(name, peer)| !peer.is_suspect && !leaving.failed.contains(*name));
            let takers: Vec<_> = able.take(copies).collect();
            step.kept += usize::from(takers.is_empty());
            for (name, peer) in takers {
                // A primary that owes no acknowledgement has it.
                if !self.ring.is_primary(peer.number, vnode) || peer.keys.contains_key(&key) {
                    step.sends.entry(name.clone()).or_default().push((key.clone(), value.clone()));
                }
            }
        }
        Some(step)
    }
}
