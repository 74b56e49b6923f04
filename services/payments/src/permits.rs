//! Permits to call the provider: it allows the whole cluster 50 calls at once, and this node its share of them.
//!
//! A semaphore of our own and not a `tower` layer, because callers must be told "not yet" before their deadline, and
//! because the number must hold across routes and connections.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::metrics::Meter;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Most charges that wait for a permit. More would pass their deadlines in the queue anyway.
const WAITING_MAX: u64 = 500;

#[derive(Debug)]
pub(crate) struct Permits {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicU64>,
}

impl Permits {
    pub(crate) fn new(permits: u16, meter: &Meter) -> Self {
        let (free, waiting) = (Arc::new(Semaphore::new(permits.into())), Arc::new(AtomicU64::new(0)));
        let observed = free.clone();
        let _in_use = meter
            .u64_observable_gauge("trestle_provider_permits_in_use")
            .with_description("calls to the payment provider under way")
            .with_callback(move |gauge| {
                let in_use = usize::from(permits).saturating_sub(observed.available_permits());
                gauge.observe(in_use as u64, &[]);
            })
            .build();
        let observed = waiting.clone();
        let _waiting = meter
            .u64_observable_gauge("trestle_provider_permits_waiting")
            .with_description("charges that wait for a permit to call the payment provider")
            .with_callback(move |gauge| gauge.observe(observed.load(Ordering::Relaxed), &[]))
            .build();
        Self { free, waiting }
    }

    /// A permit, first come first served; none when the deadline passes or the queue is full.
    pub(crate) async fn acquire(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Some(permit);
        }
        let place = Place(&self.waiting);
        if place.0.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return None;
        }
        tokio::time::timeout_at(deadline, self.free.clone().acquire_owned()).await.ok()?.ok()
    }
}

/// A place in the queue; given back also when the wait is cut.
struct Place<'a>(&'a AtomicU64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
