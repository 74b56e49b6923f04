//! What a client shows of itself: calls, attempts, and every decision that regulation takes. Labelled with the family that
//! is called, and with the address where it is about one node; a family has few.

use std::sync::Weak;

use contract::Family;
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Counter, Histogram, Meter},
};
use overload::{Change, Class};
use runtime::Metrics;
use tokio::time::Instant;

use crate::client::Inner;

/// The counters and histograms of one client; clients of one node share them.
#[derive(Debug)]
pub(crate) struct Instruments {
    pub(crate) duration: Histogram<f64>,
    pub(crate) attempts_of_call: Histogram<u64>,
    attempts: Counter<u64>,
    budget_exhausted: Counter<u64>,
    throttled: Counter<u64>,
    fail_fast: Counter<u64>,
    overloaded: Counter<u64>,
    transitions: Counter<u64>,
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter = |name, about| meter.u64_counter(name).with_description(about).build();
        Self {
            duration: meter
                .f64_histogram("trestle_call_duration")
                .with_unit("s")
                .with_description("time of a call with its resends, by operation, strategy and outcome")
                .with_boundaries(Metrics::duration_buckets())
                .build(),
            attempts_of_call: meter
                .u64_histogram("trestle_call_attempts")
                .with_description("attempts of a call; none if it was refused before it was made")
                .with_boundaries(vec![0.0, 1.0, 2.0, 3.0, 5.0])
                .build(),
            attempts: counter("trestle_client_attempts", "attempts, by which of the call it was"),
            budget_exhausted: counter(
                "trestle_client_budget_exhausted",
                "resends that were not made because too many had been",
            ),
            throttled: counter(
                "trestle_client_throttled",
                "calls refused by the caller because the callee refuses many, by class",
            ),
            fail_fast: counter(
                "trestle_client_fail_fast",
                "calls refused by the caller because nobody in the family shows a sign of life",
            ),
            overloaded: counter("trestle_client_overloaded", "attempts that the callee refused for overload, by class"),
            transitions: counter("trestle_breaker_transitions", "changes of a node's breaker, by kind"),
        }
    }

    pub(crate) fn attempt(&self, target: Family, attempt: u32) {
        self.attempts.add(1, &[of(target), KeyValue::new("attempt", i64::from(attempt))]);
    }

    pub(crate) fn budget_exhausted(&self, target: Family) {
        self.budget_exhausted.add(1, &[of(target)]);
    }

    pub(crate) fn throttled(&self, target: Family, class: Class) {
        self.throttled.add(1, &[of(target), KeyValue::new("class", class.name())]);
    }

    pub(crate) fn fail_fast(&self, target: Family) {
        self.fail_fast.add(1, &[of(target)]);
    }

    pub(crate) fn overloaded(&self, target: Family, class: Class) {
        self.overloaded.add(1, &[of(target), KeyValue::new("class", class.name())]);
    }

    pub(crate) fn transition(&self, target: Family, address: &str, change: Change) {
        let change = KeyValue::new("change", change.name());
        self.transitions.add(1, &[of(target), KeyValue::new("endpoint", address.to_owned()), change]);
    }
}

fn of(target: Family) -> KeyValue {
    KeyValue::new("target", target.name())
}

/// Shows what is now, whenever the page is read, from the client's first call on: before it, nobody knows whom it calls.
/// A client that has gone shows nothing; two clients of one family on one node show the later one.
pub(crate) fn show(meter: &Meter, client: &Weak<Inner>) {
    gauge(meter, client, "trestle_client_budget", "resends that could be made at once", |inner, target, gauge| {
        gauge.observe(inner.budget.balance(&inner.node.limits.now().client), &[of(target)]);
    });
    let about = "in how many of a thousand cases a call is refused by the caller because the callee refuses many";
    gauge(meter, client, "trestle_client_throttle_permille", about, |inner, target, gauge| {
        gauge.observe(inner.throttle().permille(&inner.node.limits.now().client, Instant::now()), &[of(target)]);
    });
    let about = "1 while nobody in the family shows a sign of life";
    gauge(meter, client, "trestle_client_gate_shut", about, |inner, target, gauge| {
        let is_shut = inner.endpoints.gate().is_shut(&inner.node.limits.now().client, Instant::now());
        gauge.observe(is_shut.into(), &[of(target)]);
    });
    let about = "state of a node's breaker: 0 closed, 1 a trial is under way, 2 open";
    gauge(meter, client, "trestle_breaker_state", about, |inner, target, gauge| {
        for endpoint in inner.endpoints.all().iter() {
            let address = KeyValue::new("endpoint", endpoint.address.clone());
            gauge.observe(endpoint.breaker_level(), &[of(target), address]);
        }
    });
    let about = "nodes of a family, by state: usable, open (its breaker), unready";
    gauge(meter, client, "trestle_client_endpoints", about, |inner, target, gauge| {
        let mut counts = [("usable", 0), ("open", 0), ("unready", 0)];
        for endpoint in inner.endpoints.all().iter() {
            let state = if !endpoint.is_ready() { 2 } else { usize::from(!endpoint.is_closed()) };
            counts[state].1 += 1;
        }
        for (state, count) in counts {
            gauge.observe(count, &[of(target), KeyValue::new("state", state)]);
        }
    });
    let about = "what the cheapest and the dearest node cost, in thousandths of a usual call to an idle node";
    gauge(meter, client, "trestle_client_cost_permille", about, |inner, target, gauge| {
        let now = Instant::now();
        let costs = inner.endpoints.all().iter().map(|one| permille(one.cost(now))).collect::<Vec<_>>();
        for (bound, cost) in [("min", costs.iter().min()), ("max", costs.iter().max())] {
            gauge.observe(cost.copied().unwrap_or_default(), &[of(target), KeyValue::new("bound", bound)]);
        }
    });
}

fn gauge(
    meter: &Meter,
    client: &Weak<Inner>,
    name: &'static str,
    about: &'static str,
    look: impl Fn(&Inner, Family, &dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    // Weak: the meter belongs to the node, and a client owns a part of that.
    let client = client.clone();
    let shown = move |gauge: &dyn AsyncInstrument<u64>| {
        let Some(inner) = client.upgrade() else { return };
        if let Some(target) = inner.target.get() {
            look(&inner, *target, gauge);
        }
    };
    let _gauge = meter.u64_observable_gauge(name).with_description(about).with_callback(shown).build();
}

fn permille(cost: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "costs are positive and small")]
    let permille = (cost * 1_000.0).clamp(0.0, 1e12) as u64;
    permille
}
