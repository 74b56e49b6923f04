//! What admission did, as counters that cost an atomic addition: a refusal must be cheap, and an instrument of the metrics
//! library with attributes would be a good part of it. They are read when somebody looks at `/metrics`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};

use crate::Class;

/// How an arrival ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Admitted,
    Full,
    Displaced,
    Aged,
    Late,
    Quota,
    Gone,
}

impl Outcome {
    const ALL: [Self; 7] =
        [Self::Admitted, Self::Full, Self::Displaced, Self::Aged, Self::Late, Self::Quota, Self::Gone];

    const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Full => "full",
            Self::Displaced => "displaced",
            Self::Aged => "aged",
            Self::Late => "late",
            Self::Quota => "quota",
            Self::Gone => "gone",
        }
    }
}

/// How admitted work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Within its deadline.
    Good,
    /// After it.
    Late,
    /// Its client hung up.
    Gone,
}

impl Work {
    const ALL: [Self; 3] = [Self::Good, Self::Late, Self::Gone];
}

type PerClass<const N: usize> = [[AtomicU64; N]; 4];

#[derive(Debug, Default)]
struct Counters {
    outcomes: PerClass<7>,
    works: PerClass<3>,
}

/// The counters of one node.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    counters: Arc<Counters>,
    sojourn: Histogram<f64>,
}

impl Tally {
    pub(crate) fn new(meter: &Meter) -> Self {
        let sojourn = meter
            .f64_histogram("trestle_queue_sojourn")
            .with_unit("s")
            .with_description("how long admitted requests stood in the queue, by lane")
            .with_boundaries(vec![0.0, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0])
            .build();
        let counters = Arc::<Counters>::default();
        counters.observe(meter);
        Self { counters, sojourn }
    }

    pub(crate) fn count(&self, class: Class, outcome: Outcome) {
        self.counters.outcomes[class as usize][outcome as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self, class: Class, work: Work) {
        self.counters.works[class as usize][work as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn waited(&self, lane: &'static str, seconds: f64) {
        self.sojourn.record(seconds, &[KeyValue::new("lane", lane)]);
    }

    /// All refused so far, those who hung up not among them.
    pub(crate) fn refused(&self) -> u64 {
        let refused = |class: &[AtomicU64; 7]| -> u64 { class[1..6].iter().map(|count| count.load(Relaxed)).sum() };
        self.counters.outcomes.iter().map(refused).sum()
    }

    #[cfg(test)]
    pub(crate) fn outcome(&self, class: Class, outcome: Outcome) -> u64 {
        self.counters.outcomes[class as usize][outcome as usize].load(Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn work(&self, class: Class, work: Work) -> u64 {
        self.counters.works[class as usize][work as usize].load(Relaxed)
    }
}

impl Counters {
    fn observe(self: &Arc<Self>, meter: &Meter) {
        let class_label = |class: Class| KeyValue::new("class", class.name());
        let counters = self.clone();
        meter
            .u64_observable_counter("trestle_admission_decisions")
            .with_description("requests by class and what admission decided; all but admitted were not executed")
            .with_callback(move |observer| {
                for class in Class::ALL {
                    for outcome in Outcome::ALL {
                        let count = counters.outcomes[class as usize][outcome as usize].load(Relaxed);
                        observer.observe(count, &[class_label(class), KeyValue::new("outcome", outcome.name())]);
                    }
                }
            })
            .build();
        let counters = self.clone();
        meter
            .u64_observable_counter("trestle_offered")
            .with_description("requests offered, by class: what capacity is planned and scaled by")
            .with_callback(move |observer| {
                for class in Class::ALL {
                    let all = counters.outcomes[class as usize].iter().map(|count| count.load(Relaxed)).sum();
                    observer.observe(all, &[class_label(class)]);
                }
            })
            .build();
        let counters = self.clone();
        meter
            .u64_observable_counter("trestle_goodput")
            .with_description("admitted requests that were answered within their deadline, by class")
            .with_callback(move |observer| {
                for class in Class::ALL {
                    let good = counters.works[class as usize][Work::Good as usize].load(Relaxed);
                    observer.observe(good, &[class_label(class)]);
                }
            })
            .build();
        let counters = self.clone();
        meter
            .u64_observable_counter("trestle_badput")
            .with_description("admitted requests that were worked on for nobody: answered late, or the client was gone")
            .with_callback(move |observer| {
                for class in Class::ALL {
                    for (work, reason) in Work::ALL[1..].iter().zip(["late", "gone"]) {
                        let count = counters.works[class as usize][*work as usize].load(Relaxed);
                        observer.observe(count, &[class_label(class), KeyValue::new("reason", reason)]);
                    }
                }
            })
            .build();
    }
}
