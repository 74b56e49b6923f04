//! A node that was away, standing still, and returns with what it knew then.
//!
//! After a moment that is merely old, and the join with the others' copies makes it new. After longer than the *horizon*
//! it may be wrong: the others may have forgotten what they had dropped, and what they forgot would come back (CART-8). So
//! it puts everything aside, copies from its peers, and then throws away what it had put aside. Only if no peer could be
//! copied, because all are down or were away as long (a machine that slept), it takes its own back: there is nothing better.

use super::{Join, Replicated, entries::Entries, state::State};

impl<V: Join> Replicated<V> {
    /// Called when we were away for so long, before we copy.
    pub(super) fn came_back(&self, away_ms: i64) {
        if away_ms <= self.0.horizon_ms {
            return;
        }
        let put_aside = self.lock().put_aside();
        tracing::warn!(away_ms, entries = put_aside, "away for longer than the horizon; starting again from the peers");
    }

    /// Called when we have copied, from some peer or from none.
    pub(super) fn is_refilled(&self, from_some: bool) {
        let mut state = self.lock();
        state.is_filling = false;
        let Some(aside) = state.aside.take() else { return };
        if from_some {
            tracing::info!(entries = aside.len(), "what this node knew before it was away is dropped");
            return;
        }
        tracing::warn!(entries = aside.len(), "no peer could be copied; what this node knew before is all there is");
        for (_, key, slot) in aside.after(None) {
            // Cannot be full: it held as many before.
            let _ = state.join(key, &slot.value, slot.touched_ms);
        }
    }
}

impl<V: Join> State<V> {
    fn put_aside(&mut self) -> usize {
        let empty = Entries::new(self.entries.max());
        let known = std::mem::replace(&mut self.entries, empty);
        self.foreign.clear();
        self.peers.values_mut().for_each(|peer| peer.keys.clear());
        let count = known.len();
        // Away twice before it was refilled: the first is the older, the second hardly anything.
        self.aside.get_or_insert(known);
        count
    }
}
