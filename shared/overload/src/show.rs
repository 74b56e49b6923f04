//! What the lanes look like in the metrics: read when somebody looks, so that no request pays for it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use opentelemetry::{KeyValue, metrics::Meter};

use crate::{
    Admission, Class,
    lane::{Look, Which},
    limit::Turn,
};

/// How often each limit went up and down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<[[AtomicU64; 2]; 2]>);

impl Turns {
    pub(crate) fn count(&self, which: Which, turn: Turn) {
        let direction = match turn {
            Turn::Up => 0,
            Turn::Down => 1,
            Turn::Same => return,
        };
        self.0[which as usize][direction].fetch_add(1, Relaxed);
    }
}

fn lane(which: Which) -> KeyValue {
    KeyValue::new("lane", which.name())
}

/// Figures of a lane that are one number each.
type Figure = (&'static str, &'static str, fn(&Look) -> u64);

const FIGURES: [Figure; 5] = [
    ("trestle_limiter_limit", "most requests that may be under work now, by lane", |look| look.limit.into()),
    ("trestle_limiter_in_flight", "requests under work, by lane", |look| look.in_flight.into()),
    ("trestle_queue_capacity", "places in the queue, by lane", |look| {
        u64::try_from(look.queue_max).unwrap_or(u64::MAX)
    }),
    ("trestle_queue_lifo_active", "1 while the queue stands and serves the newest first, by lane", |look| {
        look.stands.into()
    }),
    ("trestle_overload_state", "0 normal, 1 a queue, 2 a standing queue, 3 refusing: by lane", |look| {
        let queued: usize = look.queued.iter().sum();
        match (queued, look.stands) {
            (0, _) => 0,
            (queued, _) if queued >= look.queue_max => 3,
            (_, true) => 2,
            (_, false) => 1,
        }
    }),
];

pub(crate) fn observe(admission: &Admission, meter: &Meter) {
    for (name, description, figure) in FIGURES {
        let admission = admission.clone();
        meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                for (which, look) in admission.looks() {
                    observer.observe(figure(&look), &[lane(which)]);
                }
            })
            .build();
    }
    let shown = admission.clone();
    meter
        .u64_observable_gauge("trestle_queue_length")
        .with_description("requests in the queue, by lane and class")
        .with_callback(move |observer| {
            for (which, look) in shown.looks() {
                for class in Class::ALL.into_iter().filter(|class| Which::of(*class) == which) {
                    let length = u64::try_from(look.queued[class as usize]).unwrap_or(u64::MAX);
                    observer.observe(length, &[lane(which), KeyValue::new("class", class.name())]);
                }
            }
        })
        .build();
    let shown = admission.clone();
    meter
        .f64_observable_gauge("trestle_queue_standing")
        .with_unit("s")
        .with_description("since when the queue has not been empty, by lane")
        .with_callback(move |observer| {
            for (which, look) in shown.looks() {
                observer.observe(look.busy_for.as_secs_f64(), &[lane(which)]);
            }
        })
        .build();
    let turns = admission.turns().clone();
    meter
        .u64_observable_counter("trestle_limiter_changes")
        .with_description("how often a limit was changed, by lane and direction")
        .with_callback(move |observer| {
            for which in Which::ALL {
                for (count, direction) in turns.0[which as usize].iter().zip(["up", "down"]) {
                    observer.observe(count.load(Relaxed), &[lane(which), KeyValue::new("direction", direction)]);
                }
            }
        })
        .build();
}
