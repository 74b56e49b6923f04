//! A lane: places under work with one limit, and the queue in front of them. Two lanes keep checkouts, which wait seconds
//! for the payment provider, from filling the places of work that takes milliseconds (a bulkhead).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    AdmissionSettings, Class, Refused,
    admission::Permit,
    limit::{Bounds, Limit},
    queue::{Discipline, Queue},
};

/// Who waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// Tells what comes of it.
    pub(crate) say: oneshot::Sender<Result<Permit, Refused>>,
    /// When its answer is of no use any more.
    pub(crate) deadline: Instant,
}

/// Who calls a node. It decides how a standing queue is run: the edge serves who matters most and came last, and refuses the
/// others at once; the nodes behind it serve in the order of arrival, and refuse only after an interval. Before that their
/// callers give way, and a refusal from within has cost the work of all tiers before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Customers.
    Edge,
    /// Other nodes.
    Inner,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Work,
    Checkout,
}

impl Which {
    pub(crate) const ALL: [Self; 2] = [Self::Work, Self::Checkout];

    pub(crate) const fn of(class: Class) -> Self {
        match class {
            Class::Critical => Self::Checkout,
            Class::Emergency | Class::Normal | Class::Sheddable => Self::Work,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Checkout => "checkout",
        }
    }

    pub(crate) const fn bounds(self, settings: &AdmissionSettings) -> Bounds {
        let (min, max) = match self {
            Self::Work => (settings.work_min, settings.work_max),
            Self::Checkout => (settings.checkout_min, settings.checkout_max),
        };
        Bounds { min, max, adaptive: settings.adaptive }
    }
}

/// What a lane's lock protects. Nothing is awaited, sent or dropped that matters under it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) in_flight: u32,
    /// The most under work since the window began.
    pub(crate) peak: u32,
    pub(crate) limit: Limit,
    pub(crate) queue: Queue<Waiter>,
}

impl State {
    /// One more is under work.
    pub(crate) fn begin(&mut self) {
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
    }
}

#[derive(Debug)]
pub(crate) struct Lane {
    state: Mutex<State>,
    tier: Tier,
}

impl Lane {
    pub(crate) const fn new(tier: Tier) -> Self {
        let state = State { in_flight: 0, peak: 0, limit: Limit::new(), queue: Queue::new() };
        Self { state: Mutex::new(state), tier }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How its queue is run while this is its limit.
    pub(crate) fn discipline(&self, settings: &AdmissionSettings, limit: u32) -> Discipline {
        let places = u64::from(limit) * u64::from(settings.queue_percent) / 100;
        let target_ms = match self.tier {
            Tier::Edge => settings.queue_target_ms,
            Tier::Inner => settings.queue_interval_ms,
        };
        Discipline {
            length_max: usize::try_from(places).unwrap_or(usize::MAX),
            target: Duration::from_millis(target_ms.into()),
            interval: Duration::from_millis(settings.queue_interval_ms.into()),
            chooses: self.tier == Tier::Edge,
        }
    }
}

/// What a lane looks like from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) limit: u32,
    pub(crate) in_flight: u32,
    pub(crate) queued: [usize; 4],
    pub(crate) queue_max: usize,
    pub(crate) busy_for: Duration,
    pub(crate) stands: bool,
}

impl Lane {
    pub(crate) fn look(&self, which: Which, settings: &AdmissionSettings, now: Instant) -> Look {
        let state = self.lock();
        let limit = state.limit.now(which.bounds(settings));
        let discipline = self.discipline(settings, limit);
        Look {
            limit,
            in_flight: state.in_flight,
            queued: Class::ALL.map(|class| state.queue.len_of(class)),
            queue_max: discipline.length_max,
            busy_for: state.queue.busy_for(now),
            stands: state.queue.stands(now, discipline),
        }
    }
}
