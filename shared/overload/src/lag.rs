//! How late the event loop is: a timer that fires late says that everything else on this node waits as long for a
//! processor. It is the load that a node sees when nobody further in is slow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::metrics::{Histogram, Meter};
use tokio::time::Instant;

/// How often it is looked at: four times in a window, and cheap enough for a node that has nothing to do.
const EVERY: Duration = Duration::from_millis(25);
/// The timer itself is up to this late: it counts whole milliseconds.
const GRAIN: Duration = Duration::from_millis(1);

/// The samples of one node since they were last taken; clones share them.
#[derive(Clone, Debug)]
pub struct Lag {
    sums: Arc<Sums>,
    seconds: Histogram<f64>,
}

#[derive(Debug, Default)]
struct Sums {
    samples: AtomicU64,
    late_us: AtomicU64,
}

impl Lag {
    /// No samples yet.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let seconds = meter
            .f64_histogram("trestle_loop_lag")
            .with_unit("s")
            .with_description("how late timers fire: everything on this node waits as long for a processor")
            .with_boundaries(vec![0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5])
            .build();
        Self { sums: Arc::default(), seconds }
    }

    /// Takes samples for ever.
    pub async fn watch(self) {
        loop {
            let due = Instant::now() + EVERY + GRAIN;
            tokio::time::sleep(EVERY).await;
            self.note(Instant::now().saturating_duration_since(due));
        }
    }

    fn note(&self, late: Duration) {
        self.sums.samples.fetch_add(1, Relaxed);
        self.sums.late_us.fetch_add(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.seconds.record(late.as_secs_f64(), &[]);
    }

    /// The mean since the last call of this.
    pub(crate) fn take(&self) -> Duration {
        let (samples, late_us) = (self.sums.samples.swap(0, Relaxed), self.sums.late_us.swap(0, Relaxed));
        Duration::from_micros(late_us / samples.max(1))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_blocked_loop_shows_and_a_free_one_does_not() {
        let lag = Lag::new(&SdkMeterProvider::default().meter("test"));
        let watch = lag.clone().watch();
        tokio::pin!(watch);
        let _ = tokio::time::timeout(Duration::from_millis(400), &mut watch).await;
        assert_eq!(lag.take(), Duration::ZERO);
        // Time goes on while the watch is not polled, as when something else holds the processor.
        tokio::time::advance(Duration::from_millis(100)).await;
        let _ = tokio::time::timeout(Duration::from_millis(1), &mut watch).await;
        assert!(lag.take() > Duration::from_millis(70));
    }
}
