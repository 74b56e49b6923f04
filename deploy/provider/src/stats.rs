//! Counts of `POST /charges` and `POST /refunds`, as the provider handles them.
//!
//! A request is in flight from its arrival until its handling ends, whether or not its caller is still there: a call
//! that was given up takes as much of the provider as any other, and may still take effect. The shop's promise is at
//! most 50 calls at once, and this is its proof from outside; a caller that hangs up and calls again at once is seen
//! as two.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use serde::Serialize;

/// Name under which `by_status` counts requests that got no answer: held and closed, or left by their caller before the end.
const UNANSWERED: &str = "unanswered";

/// `GET /stats`. Always `requests` = `in_flight` + the sum of `by_status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) in_flight: u64,
    pub(crate) max_in_flight: u64,
    pub(crate) requests: u64,
    pub(crate) by_status: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Stats {
    counts: Mutex<Counts>,
}

impl Stats {
    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        let mut counts = self.lock();
        counts.requests += 1;
        counts.in_flight += 1;
        counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        InFlight { stats: self.clone(), status: None }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Starts anew, with the requests in flight as the first.
    pub(crate) fn reset(&self) -> Counts {
        let mut counts = self.lock();
        let in_flight = counts.in_flight;
        *counts = Counts { in_flight, max_in_flight: in_flight, requests: in_flight, by_status: BTreeMap::new() };
        counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counting does not panic half way, so a poisoned lock still holds true counts.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut counts = self.stats.lock();
        counts.in_flight -= 1;
        *counts.by_status.entry(name).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::StatusCode;

    use super::Stats;

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
