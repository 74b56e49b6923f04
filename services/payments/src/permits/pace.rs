//! How fast the provider goes: how many calls at once it bears without saying "too many", and how long one takes.
//!
//! Permits bound the calls by contract; a provider in trouble bears fewer, and says so by 429 or 503. Then the bound is
//! halved, and it grows again by one for each round of good answers: additive increase, multiplicative decrease (Chiu and
//! Jain 1989).

use std::time::Duration;

use tokio::time::Instant;

/// One trouble halves the bound once, although many calls in flight tell of it.
const HALVE_EVERY: Duration = Duration::from_millis(500);
/// Part of a new call time in the average: one of so many.
const SMOOTHING: u32 = 16;
/// Taken for the time of a call until one was seen.
const CALL_DEFAULT: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(crate) struct Pace {
    most: usize,
    limit: usize,
    /// Good answers since the limit last grew.
    good: usize,
    halved_at: Option<Instant>,
    call: Duration,
}

impl Pace {
    /// At most so many at once.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, limit: most, good: 0, halved_at: None, call: CALL_DEFAULT }
    }

    /// Most calls at once.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// How long a call takes a permit on average.
    pub(crate) const fn call(&self) -> Duration {
        self.call
    }

    /// A permit came back after this long.
    pub(crate) fn took(&mut self, time: Duration) {
        self.call = (self.call * (SMOOTHING - 1) + time) / SMOOTHING;
    }

    /// The provider has worked on a call.
    pub(crate) const fn good(&mut self) {
        self.good += 1;
        if self.good >= self.limit {
            self.good = 0;
            self.limit = if self.limit < self.most { self.limit + 1 } else { self.most };
        }
    }

    /// The provider said "too many".
    pub(crate) fn too_many(&mut self, now: Instant) {
        if self.halved_at.is_some_and(|at| now.saturating_duration_since(at) < HALVE_EVERY) {
            return;
        }
        (self.halved_at, self.good) = (Some(now), 0);
        self.limit = (self.limit / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_halves_once_and_good_answers_bring_it_back() {
        let (mut pace, now) = (Pace::new(50), Instant::now());
        for _ in 0..40 {
            pace.too_many(now);
        }
        assert_eq!(pace.limit(), 25, "all calls in flight tell of the same trouble");
        pace.too_many(now + HALVE_EVERY);
        assert_eq!(pace.limit(), 12);
        for _ in 0..12 {
            pace.good();
        }
        assert_eq!(pace.limit(), 13);
        for _ in 0..5_000 {
            pace.good();
        }
        assert_eq!(pace.limit(), 50, "never above what is allowed");
        for halvings in 0..20 {
            pace.too_many(now + HALVE_EVERY * (2 + halvings));
        }
        assert_eq!(pace.limit(), 1, "never to a standstill");
    }

    #[test]
    fn the_time_of_a_call_is_followed() {
        let mut pace = Pace::new(50);
        for _ in 0..100 {
            pace.took(Duration::from_secs(1));
        }
        assert!((Duration::from_millis(990)..=Duration::from_secs(1)).contains(&pace.call()), "{:?}", pace.call());
    }
}
