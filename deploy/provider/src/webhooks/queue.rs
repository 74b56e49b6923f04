//! Which event is sent when: the bounded queue, the retries, and the disorder that was asked for. Pure: time comes in
//! as a parameter, and random numbers from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::faults::Delivery;

/// Most times that one copy of an event is tried; with the pauses below about half a minute.
const ATTEMPTS_MAX: u32 = 12;
/// Pause after the first failure; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// While the order is shuffled, each event is held back up to this long.
const SHUFFLE_MAX: Duration = Duration::from_secs(1);

/// Part of `GET /stats`. Counts copies of events, not events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct WebhookCounts {
    /// In the queue or being sent now.
    pub(crate) waiting: u64,
    pub(crate) delivered: u64,
    /// Tries that no URL took.
    pub(crate) failed_attempts: u64,
    /// Never to be delivered: the queue was full, or every try failed.
    pub(crate) dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) body: Arc<[u8]>,
    pub(crate) signature: Arc<str>,
}

/// One copy of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) event: Event,
    failures: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Send(Waiting),
    /// Nothing is due before then.
    Due(Instant),
    /// Nothing is due until something changes.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Queue {
    /// By due time, then in order of arrival.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    sending: usize,
    max: usize,
    next: u64,
    random: Random,
    counts: WebhookCounts,
}

impl Queue {
    pub(crate) fn new(max: usize, seed: u64) -> Self {
        let counts = WebhookCounts::default();
        Self { waiting: BTreeMap::new(), sending: 0, max, next: 0, random: Random(seed), counts }
    }

    pub(crate) fn announce(&mut self, event: &Event, delivery: Delivery, now: Instant) {
        for _ in 0..delivery.copies {
            if self.waiting.len() + self.sending >= self.max {
                self.counts.dropped += 1;
                continue;
            }
            let back = if delivery.shuffle { SHUFFLE_MAX.mul_f64(self.random.share()) } else { Duration::ZERO };
            self.put(Waiting { event: event.clone(), failures: 0 }, now + back);
        }
    }

    /// Takes what is due; `sent` must follow.
    pub(crate) fn next(&mut self, delivery: Delivery, now: Instant) -> Next {
        if delivery.hold {
            return Next::Nothing;
        }
        let Some((first, _)) = self.waiting.first_key_value() else { return Next::Nothing };
        if first.0 > now {
            return Next::Due(first.0);
        }
        let mut chosen = *first;
        if delivery.shuffle {
            // What piled up in a hold is due all at once; the earliest first would be no disorder.
            let due = self.waiting.range(..=(now, u64::MAX));
            let number = self.random.below(due.clone().count());
            chosen = due.map(|(key, _)| *key).nth(number).unwrap_or(chosen);
        }
        match self.waiting.remove(&chosen) {
            Some(waiting) => {
                self.sending += 1;
                Next::Send(waiting)
            }
            None => Next::Nothing,
        }
    }

    /// How the sending went.
    pub(crate) fn sent(&mut self, mut waiting: Waiting, delivered: bool, now: Instant) {
        self.sending -= 1;
        if delivered {
            self.counts.delivered += 1;
            return;
        }
        self.counts.failed_attempts += 1;
        waiting.failures += 1;
        if waiting.failures >= ATTEMPTS_MAX {
            self.counts.dropped += 1;
            return;
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << (waiting.failures - 1)).min(PAUSE_MAX);
        self.put(waiting, now + pause);
    }

    pub(crate) fn counts(&self) -> WebhookCounts {
        WebhookCounts { waiting: (self.waiting.len() + self.sending) as u64, ..self.counts }
    }

    pub(crate) fn reset(&mut self) -> WebhookCounts {
        self.counts = WebhookCounts::default();
        self.counts()
    }

    fn put(&mut self, waiting: Waiting, due: Instant) {
        self.waiting.insert((due, self.next), waiting);
        self.next += 1;
    }
}

/// SplitMix64: disorder needs no better numbers, and a seed makes them the same again in tests.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to 1.
    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }

    /// 0 to one less than `bound`; 0 for a bound of 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
