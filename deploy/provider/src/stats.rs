//! Counts of `POST /charges` and `POST /refunds`, as the provider handles them.
//!
//! A request is in flight from its arrival until its handling ends, whether or not its caller is still there: a call
//! that was given up takes as much of the provider as any other, and may still take effect. The shop's promise is at
//! most 50 calls at once, and this is its proof from outside; a caller that hangs up and calls again at once is seen
//! as two.
//!
//! `busy_ms` adds up the time of all requests in flight, so `busy_ms / elapsed_ms` is how many there were on average.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

/// Name under which `by_status` counts requests that got no answer: held and closed, or left by their caller before the end.
const UNANSWERED: &str = "unanswered";

/// `GET /stats`. Always `requests` = `in_flight` + the sum of `by_status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) in_flight: u64,
    pub(crate) max_in_flight: u64,
    pub(crate) requests: u64,
    /// Milliseconds in flight, of all requests together.
    pub(crate) busy_ms: u64,
    /// Milliseconds since the start or the last reset.
    pub(crate) elapsed_ms: u64,
    pub(crate) by_status: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(crate) struct Stats {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counts: Counts,
    since: Instant,
    /// When the number in flight last changed, and the time in flight up to then, in microseconds: most requests take less
    /// than a millisecond.
    changed: Instant,
    busy_us: u128,
}

impl Default for Stats {
    fn default() -> Self {
        Self { state: Mutex::new(State::new(0)) }
    }
}

impl State {
    fn new(in_flight: u64) -> Self {
        let now = Instant::now();
        let counts = Counts { in_flight, max_in_flight: in_flight, requests: in_flight, ..Counts::default() };
        Self { counts, since: now, changed: now, busy_us: 0 }
    }

    /// The counts, with all time up to now.
    fn until_now(&mut self) -> &mut Counts {
        let now = Instant::now();
        self.busy_us += now.duration_since(self.changed).as_micros() * u128::from(self.counts.in_flight);
        self.changed = now;
        let ms = |us: u128| u64::try_from(us / 1_000).unwrap_or(u64::MAX);
        self.counts.busy_ms = ms(self.busy_us);
        self.counts.elapsed_ms = ms(now.duration_since(self.since).as_micros());
        &mut self.counts
    }
}

impl Stats {
    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        let mut state = self.lock();
        let counts = state.until_now();
        counts.requests += 1;
        counts.in_flight += 1;
        counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        InFlight { stats: self.clone(), status: None }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().until_now().clone()
    }

    /// Starts anew, with the requests in flight as the first.
    pub(crate) fn reset(&self) -> Counts {
        let mut state = self.lock();
        *state = State::new(state.counts.in_flight);
        state.counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counting does not panic half way, so a poisoned lock still holds true counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    stats: Arc<Stats>,
    status: Option<StatusCode>,
}

impl InFlight {
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let name = self.status.map_or(UNANSWERED.to_owned(), |status| status.as_u16().to_string());
        let mut state = self.stats.lock();
        let counts = state.until_now();
        counts.in_flight -= 1;
        *counts.by_status.entry(name).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::http::StatusCode;

    use super::Stats;

    #[tokio::test(start_paused = true)]
    async fn the_time_in_flight_adds_up() {
        let stats = Arc::new(Stats::default());
        let (first, second) = (stats.enter(), stats.enter());
        tokio::time::advance(Duration::from_millis(300)).await;
        drop(first);
        tokio::time::advance(Duration::from_millis(100)).await;
        let counts = stats.counts();
        assert_eq!((counts.busy_ms, counts.elapsed_ms), (700, 400));
        stats.reset();
        tokio::time::advance(Duration::from_millis(10)).await;
        let counts = stats.counts();
        assert_eq!((counts.busy_ms, counts.elapsed_ms), (10, 10));
        drop(second);
    }

    #[test]
    fn requests_are_in_flight_or_counted_by_status() {
        let stats = Arc::new(Stats::default());
        let (first, second) = (stats.enter(), stats.enter());
        first.answered(StatusCode::OK);
        drop(second);
        let third = stats.enter();
        let counts = stats.counts();
        assert_eq!((counts.requests, counts.in_flight, counts.max_in_flight), (3, 1, 2));
        assert_eq!(counts.by_status, [("200".to_owned(), 1), ("unanswered".to_owned(), 1)].into());
        let counts = stats.reset();
        assert_eq!((counts.requests, counts.in_flight, counts.max_in_flight), (1, 1, 1));
        assert!(counts.by_status.is_empty());
        drop(third);
        assert_eq!(stats.counts().in_flight, 0);
    }
}
