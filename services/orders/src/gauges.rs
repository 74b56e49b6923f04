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

#[cfg(test)]
mod tests {
    use contract::{Money, orders::Flag};
    use runtime::Seams;
    use store::simulated::{Fault, Hook};

    use super::*;
    use crate::store::SimulatedOrders;

    /// Also that a scrape asks the store nothing, and that a store which cannot be read clears no alarm.
    #[tokio::test(start_paused = true)]
    async fn the_page_shows_what_waits() {
        let asked = Arc::new(Mutex::new(0));
        let counted = asked.clone();
        let hook: Hook = Arc::new(move |call| {
            if call != "figures" {
                return Fault::None;
            }
            let mut asked = counted.lock().unwrap();
            *asked += 1;
            if *asked > 2 { Fault::NotExecuted } else { Fault::None }
        });
        let store = SimulatedOrders::new(Seams::system(), hook);
        let metrics = Metrics::new("orders-1").unwrap();
        let refresh = run(Arc::new(store.clone()), &metrics);
        tokio::pin!(refresh);
        let mut later = async |wait| {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = &mut refresh => unreachable!("it runs for ever"),
            }
        };
        later(EVERY / 2).await;
        assert!(metrics.page().contains("trestle_attention_depth{kind=\"mismatch\"} 0"), "{}", metrics.page());
        let flag = Flag {
            id: uuid::Uuid::from_u128(1),
            operation: None,
            reason: "differs".to_owned(),
            amount: Some(Money::gbp(1)),
        };
        store.flag(flag).await.unwrap();
        for _ in 0..3 {
            later(EVERY).await;
            let page = metrics.page();
            for line in [
                "trestle_attention_depth{kind=\"mismatch\"} 1",
                "trestle_attention_depth{kind=\"checkout\"} 0",
                "trestle_attention_oldest_age_seconds",
                "trestle_outbox_oldest_age_seconds",
            ] {
                assert!(page.contains(line), "{line} is missing in\n{page}");
            }
        }
        assert_eq!(*asked.lock().unwrap(), 4, "once each few seconds, whoever scrapes");
    }
}
