//! What waits, as gauges (CO-23, CO-26). Looked at every few seconds and not for each scrape: whoever scrapes more often must
//! not load the database more.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::KeyValue;
use runtime::Metrics;

use crate::store::{Figures, OrderStore};

/// How old the figures may be.
const EVERY: Duration = Duration::from_secs(5);

/// Registers the gauges; the future keeps them fresh and runs for ever. A database that cannot be read leaves them as they
/// were, since zero would clear an alarm.
pub(crate) fn run(orders: Arc<dyn OrderStore>, metrics: &Metrics) -> impl Future<Output = ()> + Send + 'static {
    let figures = Arc::new(Mutex::new(Figures::default()));
    register(metrics, &figures);
    async move {
        loop {
            match orders.figures().await {
                Ok(fresh) => *figures.lock().unwrap_or_else(PoisonError::into_inner) = fresh,
                Err(error) => tracing::warn!(%error, "the gauges of what waits show old figures"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

fn register(metrics: &Metrics, figures: &Arc<Mutex<Figures>>) {
    let meter = metrics.meter();
    let read = |figures: &Arc<Mutex<Figures>>| {
        let figures = figures.clone();
        move || *figures.lock().unwrap_or_else(PoisonError::into_inner)
    };
    let now = read(figures);
    let depth = meter.u64_observable_gauge("trestle_attention_depth").with_description("items that wait for a person");
    depth
        .with_callback(move |gauge| {
            let figures = now();
            for (kind, waiting) in
                [("checkout", figures.checkouts), ("event", figures.events), ("mismatch", figures.mismatches)]
            {
                gauge.observe(waiting.depth, &[KeyValue::new("kind", kind)]);
            }
        })
        .build();
    let now = read(figures);
    let age = meter
        .f64_observable_gauge("trestle_attention_oldest_age_seconds")
        .with_description("age of the item that has waited longest for a person; 0 if none does");
    age.with_callback(move |gauge| {
        let figures = now();
        let oldest = [figures.checkouts, figures.events, figures.mismatches].map(|waiting| waiting.oldest_age_ms);
        gauge.observe(seconds(oldest.into_iter().max().unwrap_or_default()), &[]);
    })
    .build();
    let now = read(figures);
    let lag = meter
        .f64_observable_gauge("trestle_outbox_oldest_age_seconds")
        .with_description("age of the oldest event that is still to be delivered; 0 if none is");
    lag.with_callback(move |gauge| gauge.observe(seconds(now().outbox.oldest_age_ms), &[])).build();
}

fn seconds(age_ms: i64) -> f64 {
    Duration::from_millis(u64::try_from(age_ms).unwrap_or_default()).as_secs_f64()
}
