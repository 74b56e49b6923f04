//! The open connections of one listener: counted, bounded, and the nearer to the bound the shorter the patience with idle
//! and slow ones (O13). A thousand silent clients then turn over in a second instead of keeping everybody else out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::KeyValue;
use overload::Limits;
use rustix::process::{Resource, getrlimit};

use crate::Metrics;

/// From this many percent of the bound on, every answer asks its client to connect anew.
const HOT_PERCENT: usize = 90;
/// From this many percent on, patience falls.
const WARM_PERCENT: usize = 50;

/// The connections of one listener; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    counts: Arc<Counts>,
    /// Bounds that can be changed while the node runs.
    limits: Option<Limits>,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    asked_to_leave: AtomicU64,
}

/// One open connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    counts: Arc<Counts>,
    max: usize,
}

impl Connections {
    /// Those of the node's own listener, shown in its metrics.
    #[must_use]
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let connections = Self { counts: Arc::default(), limits: Some(limits.clone()) };
        let meter = metrics.meter();
        let counts = connections.counts.clone();
        meter
            .u64_observable_gauge("trestle_connections_open")
            .with_description("open connections of the node's own listener")
            .with_callback(move |observer| observer.observe(as_u64(counts.open.load(Relaxed)), &[]))
            .build();
        let counts = connections.counts.clone();
        meter
            .u64_observable_counter("trestle_connections")
            .with_description(
                "connections by what became of them: accepted, refused at the bound, asked to connect anew",
            )
            .with_callback(move |observer| {
                for (outcome, count) in [
                    ("accepted", &counts.accepted),
                    ("refused", &counts.refused),
                    ("asked_to_leave", &counts.asked_to_leave),
                ] {
                    observer.observe(count.load(Relaxed), &[KeyValue::new("outcome", outcome)]);
                }
            })
            .build();
        connections
    }

    /// One more, unless there are as many as may be: the least of what the listener bears, what the settings say, and half
    /// of the file descriptors, since every request needs more of them further in.
    pub(crate) fn open(&self, listener_max: usize) -> Option<Arc<Connection>> {
        let max = bound(listener_max, self.limits.as_ref());
        if self.counts.open.load(Relaxed) >= max {
            self.counts.refused.fetch_add(1, Relaxed);
            return None;
        }
        self.counts.open.fetch_add(1, Relaxed);
        self.counts.accepted.fetch_add(1, Relaxed);
        Some(Arc::new(Connection { counts: self.counts.clone(), max }))
    }
}

fn bound(listener_max: usize, limits: Option<&Limits>) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    let set = limits.and_then(|limits| usize::try_from(limits.now().admission.connections_max).ok());
    listener_max.min(set.unwrap_or(usize::MAX)).min(descriptors.unwrap_or(usize::MAX) / 2).max(1)
}

impl Connection {
    fn percent(&self) -> usize {
        self.counts.open.load(Relaxed) * 100 / self.max
    }

    /// Whether its client had better connect anew, perhaps to another node; counted.
    pub(crate) fn is_hot(&self) -> bool {
        let hot = self.percent() >= HOT_PERCENT;
        if hot {
            self.counts.asked_to_leave.fetch_add(1, Relaxed);
        }
        hot
    }

    /// How long it may be silent.
    pub(crate) fn patience(&self, usual: Duration, least: Duration) -> Duration {
        let above = self.percent().clamp(WARM_PERCENT, HOT_PERCENT) - WARM_PERCENT;
        let share = u32::try_from(above * 100 / (HOT_PERCENT - WARM_PERCENT)).unwrap_or(100);
        usual - (usual.saturating_sub(least)) * share / 100
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Relaxed);
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_the_shorter_the_patience_and_beyond_the_bound_nobody() {
        let limits = Limits::default();
        limits.set(r#"{"admission":{"connections_max":100}}"#.parse().unwrap()).unwrap();
        let connections = Connections { limits: Some(limits), ..Connections::default() };
        let mut open: Vec<_> = (0..40).map(|_| connections.open(8_000).unwrap()).collect();
        let patience = |open: &[Arc<Connection>]| {
            open.last().unwrap().patience(Duration::from_secs(15), Duration::from_secs(1)).as_secs()
        };
        assert_eq!((patience(&open), open[0].is_hot()), (15, false));
        open.extend((0..30).map(|_| connections.open(8_000).unwrap()));
        assert_eq!((patience(&open), open[0].is_hot()), (8, false));
        open.extend((0..20).map(|_| connections.open(8_000).unwrap()));
        assert_eq!((patience(&open), open[0].is_hot()), (1, true));
        open.extend((0..10).map(|_| connections.open(8_000).unwrap()));
        assert!(connections.open(8_000).is_none());
        open.pop();
        assert!(connections.open(8_000).is_some());
        assert_eq!(connections.counts.refused.load(Relaxed), 1);
    }
}
