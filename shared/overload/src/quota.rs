//! How much one client may ask: GCRA (the leaky bucket as ATM defined it, ITU-T I.371) by session, never by address, since
//! an address may be a whole town behind one router. A request without a session has no quota; admission bounds those.
//!
//! The table has a fixed size. Two sessions that meet in it make the quota of one start anew: the error is always in
//! favour of the client. That is why this is ours: a keyed limiter from a crate keeps a map that must be swept.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

/// Sessions that can be held to their quota at a time; 256 KiB.
const SLOTS: usize = 16_384;

/// Requests a second, and how many may come at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_s: u32,
    pub(crate) burst: u32,
}

/// The clients of one node.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Nobody outside can choose two sessions that meet.
    hasher: RandomState,
    start: Instant,
    slots: Mutex<Box<[Slot]>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    client: u64,
    /// When the client has paid for all its requests, in microseconds since the start: GCRA's theoretical arrival time.
    paid_us: u64,
}

impl Quota {
    pub(crate) fn new() -> Self {
        let slots = vec![Slot::default(); SLOTS].into_boxed_slice();
        Self { hasher: RandomState::new(), start: Instant::now(), slots: Mutex::new(slots) }
    }

    /// Whether this client may ask once more.
    pub(crate) fn allows(&self, client: &[u8], rate: Rate, now: Instant) -> bool {
        if rate.per_s == 0 {
            return true;
        }
        let client = self.hasher.hash_one(client);
        let now_us = u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        let cost_us = (1_000_000 / u64::from(rate.per_s)).max(1);
        let ahead_max_us = cost_us * u64::from(rate.burst.saturating_sub(1));
        let places = [place(client), place(client >> 32)];
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.into_iter().find(|place| slots[*place].client == client);
        let at = known.unwrap_or_else(|| {
            // The one that has paid longer ago loses least by starting anew.
            let at = if slots[places[0]].paid_us <= slots[places[1]].paid_us { places[0] } else { places[1] };
            slots[at] = Slot { client, paid_us: 0 };
            at
        });
        let paid_us = slots[at].paid_us.max(now_us);
        let allowed = paid_us - now_us <= ahead_max_us;
        if allowed {
            slots[at].paid_us = paid_us + cost_us;
        }
        allowed
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
const fn place(hash: u64) -> usize {
    hash as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_s: 10, burst: 5 };

    #[test]
    fn a_client_has_its_burst_then_its_rate_and_takes_from_nobody() {
        let (quota, start) = (Quota::new(), Instant::now());
        let asks = |client: &str, now, times| (0..times).filter(|_| quota.allows(client.as_bytes(), RATE, now)).count();
        assert_eq!((asks("a", start, 50), asks("b", start, 3)), (5, 3));
        let mut allowed = 0;
        for ms in 1..=10_000 {
            allowed += asks("a", start + Duration::from_millis(ms), 1);
        }
        assert_eq!(allowed, 100, "10 a second for 10 s, whatever is asked");
        assert_eq!(asks("a", start + Duration::from_secs(60), 50), 5, "a pause does not add up");
        let free = Rate { per_s: 0, burst: 1 };
        assert!((0..100).all(|_| quota.allows(b"a", free, start)));
    }

    #[test]
    fn more_clients_than_slots_cost_no_client_its_quota() {
        let (quota, now) = (Quota::new(), Instant::now());
        let clients = u32::try_from(SLOTS).unwrap() * 3;
        assert!((0..clients).all(|client| quota.allows(&client.to_le_bytes(), RATE, now)));
    }
}
