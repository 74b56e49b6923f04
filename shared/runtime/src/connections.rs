//! The open connections of one listener: counted, bounded, and the nearer to the bound the shorter the patience with idle
//! and slow ones (O13). A thousand silent clients then turn over in a second instead of keeping everybody else out. At the
//! bound a newcomer takes the place of whoever has been there longest without asking anything.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::KeyValue;
use overload::Limits;
use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;

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
    gave_way: AtomicU64,
    /// Those that have not asked anything yet, by their number, which is their age.
    silent: Mutex<BTreeMap<u64, Arc<Notify>>>,
}

/// One open connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    counts: Arc<Counts>,
    max: usize,
    number: u64,
    has_asked: AtomicBool,
    gives_way: Arc<Notify>,
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
                "connections by what became of them: accepted, refused at the bound, asked to connect anew, closed unasked for \
                 a newcomer",
            )
            .with_callback(move |observer| {
                for (outcome, count) in [
                    ("accepted", &counts.accepted),
                    ("refused", &counts.refused),
                    ("asked_to_leave", &counts.asked_to_leave),
                    ("gave_way", &counts.gave_way),
                ] {
                    observer.observe(count.load(Relaxed), &[KeyValue::new("outcome", outcome)]);
                }
            })
            .build();
        connections
    }

    /// One more. The bound is the least of what the listener bears, what the settings say, and half of the file
    /// descriptors, since every request needs more of them further in. At the bound somebody silent gives way, or nobody
    /// comes in.
    pub(crate) fn open(&self, listener_max: usize) -> Option<Arc<Connection>> {
        let max = bound(listener_max, self.limits.as_ref());
        let counts = &self.counts;
        if counts.open.load(Relaxed) >= max {
            // No longer in the list, nobody gives way twice; so there are more than the bound only while they close.
            let Some((_, oldest)) = counts.silent().pop_first() else {
                counts.refused.fetch_add(1, Relaxed);
                return None;
            };
            oldest.notify_one();
            counts.gave_way.fetch_add(1, Relaxed);
        }
        counts.open.fetch_add(1, Relaxed);
        let number = counts.accepted.fetch_add(1, Relaxed);
        let gives_way = Arc::new(Notify::new());
        counts.silent().insert(number, gives_way.clone());
        Some(Arc::new(Connection { counts: counts.clone(), max, number, has_asked: AtomicBool::new(false), gives_way }))
    }
}

impl Counts {
    fn silent(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Its client asks something: it gives way to nobody any more.
    pub(crate) fn asks(&self) {
        if !self.has_asked.swap(true, Relaxed) {
            self.counts.silent().remove(&self.number);
        }
    }

    /// Until it must give way to a newcomer.
    pub(crate) async fn gives_way(&self) {
        self.gives_way.notified().await;
        if self.has_asked.load(Relaxed) {
            // Just in time.
            std::future::pending().await
        }
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
        self.counts.silent().remove(&self.number);
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
    fn the_fuller_the_shorter_the_patience_and_beyond_the_bound_nobody_who_all_ask() {
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
        open.iter().for_each(|connection| connection.asks());
        assert!(connections.open(8_000).is_none());
        open.pop();
        assert!(connections.open(8_000).is_some());
        assert_eq!(connections.counts.refused.load(Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_bound_the_longest_silent_gives_way_and_who_asks_stays() {
        let connections = Connections::default();
        let [first, second, third] = [0; 3].map(|_| connections.open(3).unwrap());
        let must_go = async |connection: &Connection| {
            tokio::time::timeout(Duration::from_secs(1), connection.gives_way()).await.is_ok()
        };
        first.asks();
        let fourth = connections.open(3).unwrap();
        assert!(must_go(&second).await, "silent for longest");
        assert!(!must_go(&third).await && !must_go(&first).await);
        drop(second);
        assert_eq!((connections.counts.open.load(Relaxed), connections.counts.gave_way.load(Relaxed)), (3, 1));
        third.asks();
        let fifth = connections.open(3).unwrap();
        fourth.asks();
        assert!(!must_go(&fourth).await, "it asked just in time");
        fifth.asks();
        assert!(connections.open(3).is_none());
        drop((first, third, fourth, fifth));
        assert_eq!((connections.counts.open.load(Relaxed), connections.counts.silent().len()), (0, 0));
    }
}
