//! The one admission point of a node (O1): decides at once whether a request gets a place, waits for one, or is refused,
//! before its body is read, a session looked up or a line logged. A refused request was not executed.
//!
//! The limits are looked at anew in every window, by the first request after its end: no request, no work.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::metrics::Meter;
use tokio::{sync::oneshot, time::Instant};

mod waiting;

use waiting::Place;
pub use waiting::Waiting;

use crate::{
    Class, Lag, Limits, Pressure, Settings,
    lane::{Lane, Tier, Waiter, Which},
    limit::Turn,
    queue::{Popped, Pushed},
    show,
    tally::{Outcome, Tally, Work},
};

/// How often the limits are looked at.
const WINDOW: Duration = Duration::from_millis(100);
/// After a silence this long, what was noted before it says nothing about now.
const STALE: Duration = Duration::from_secs(1);
/// How often a line says that requests are refused (O7).
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Why a request was refused; it was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No place, neither under work nor in the queue.
    Full,
    /// It waited, and something that matters more took its place.
    Displaced,
    /// It waited as long as makes sense.
    Aged,
    /// Too little is left of its time to do the work.
    Late,
    /// Its session asks too much.
    Quota,
}

/// What is decided at once.
#[derive(Debug)]
pub enum Decision {
    /// Let in.
    Admitted(Permit),
    /// Not let in.
    Refused(Refused),
    /// It queues.
    Waits(Waiting),
}

/// The admission point of a node; clones share it.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    limits: Limits,
    pressure: Pressure,
    lag: Lag,
    tally: Tally,
    lanes: [Lane; 2],
    start: Instant,
    /// When the window ends, in milliseconds since the start: looked at by every request.
    window_end_ms: AtomicU64,
    logged: Mutex<Logged>,
    turns: show::Turns,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.looks()).finish()
    }
}

struct Logged {
    at: Instant,
    refused: u64,
}

impl Admission {
    /// Nothing is under work. It goes by these settings, and by what the clients of this node note in `pressure`.
    #[must_use]
    pub fn new(tier: Tier, limits: Limits, pressure: Pressure, lag: Lag, meter: &Meter) -> Self {
        let start = Instant::now();
        let admission = Self(Arc::new(Inner {
            limits,
            pressure,
            lag,
            tally: Tally::new(meter),
            lanes: [Lane::new(tier), Lane::new(tier)],
            start,
            window_end_ms: AtomicU64::new(0),
            logged: Mutex::new(Logged { at: start, refused: 0 }),
            turns: show::Turns::default(),
        }));
        show::observe(&admission, meter);
        admission
    }

    /// Decides about a request that must be answered by `deadline` and needs so much of the time until then.
    #[must_use]
    pub fn decide(&self, class: Class, deadline: Instant, needs: Duration) -> Decision {
        let latest = deadline.checked_sub(needs).unwrap_or(self.0.start);
        let (inner, now, settings) = (&*self.0, Instant::now(), self.0.limits.now());
        inner.turn_when_due(self, now, &settings);
        let which = Which::of(class);
        let lane = inner.lane(which);
        let mut state = lane.lock();
        let limit = state.limit.now(which.bounds(&settings.admission));
        if !settings.protection || (state.in_flight < limit && state.queue.len() == 0 && now < latest) {
            state.begin();
            drop(state);
            return Decision::Admitted(self.permit(class, deadline, Duration::ZERO));
        }
        if latest <= now {
            return self.refuse(class, Refused::Late);
        }
        let (say, verdict) = oneshot::channel();
        let discipline = lane.discipline(&settings.admission, limit);
        let pushed = state.queue.push(now, discipline, (class, latest), Waiter { say, deadline });
        drop(state);
        let (ticket, until) = match pushed {
            Pushed::Full => return self.refuse(class, Refused::Full),
            Pushed::Waits { ticket, until } => (ticket, until),
            Pushed::Displaces { ticket, until, displaced } => {
                let _ = displaced.say.send(Err(Refused::Displaced));
                (ticket, until)
            }
        };
        let place = Place { admission: self.clone(), class, ticket };
        Decision::Waits(Waiting { verdict, until, late: until == latest, place })
    }

    /// Decides, and waits for what comes of it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn enter(&self, class: Class, deadline: Instant, needs: Duration) -> Result<Permit, Refused> {
        match self.decide(class, deadline, needs) {
            Decision::Admitted(permit) => Ok(permit),
            Decision::Refused(why) => Err(why),
            Decision::Waits(waiting) => waiting.verdict().await,
        }
    }

    /// Most requests that may be under work now, checkouts apart.
    #[must_use]
    pub fn work_limit(&self) -> u32 {
        let settings = self.0.limits.now();
        self.0.lane(Which::Work).lock().limit.now(Which::Work.bounds(&settings.admission))
    }

    /// What it goes by.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Counts a refusal that something in front of the lanes decided.
    pub(crate) fn refuse(&self, class: Class, why: Refused) -> Decision {
        self.0.tally.count(class, why.outcome());
        Decision::Refused(why)
    }

    pub(crate) fn looks(&self) -> [(Which, crate::lane::Look); 2] {
        let (settings, now) = (self.0.limits.now(), Instant::now());
        Which::ALL.map(|which| (which, self.0.lane(which).look(which, &settings.admission, now)))
    }

    pub(crate) fn turns(&self) -> &show::Turns {
        &self.0.turns
    }

    #[cfg(test)]
    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    fn permit(&self, class: Class, deadline: Instant, queued: Duration) -> Permit {
        self.0.tally.count(class, Outcome::Admitted);
        self.0.tally.waited(Which::of(class).name(), queued.as_secs_f64());
        Permit { admission: self.clone(), class, deadline, queued, end: End::Gone }
    }

    /// Gives free places to those who wait.
    fn fill(&self, which: Which) {
        let inner = &*self.0;
        loop {
            let settings = inner.limits.now();
            let lane = inner.lane(which);
            let mut state = lane.lock();
            let limit = state.limit.now(which.bounds(&settings.admission));
            if state.queue.len() == 0 || (settings.protection && state.in_flight >= limit) {
                return;
            }
            match state.queue.pop(Instant::now(), lane.discipline(&settings.admission, limit)) {
                Popped::Empty => return,
                Popped::Aged(waiter) => {
                    drop(state);
                    let _ = waiter.say.send(Err(Refused::Aged));
                }
                Popped::Next { item: Waiter { say, deadline }, class, waited } => {
                    state.begin();
                    drop(state);
                    if let Err(Ok(mut permit)) = say.send(Ok(self.permit(class, deadline, waited))) {
                        // Hung up this moment. Given back here: its drop would call this again, once for each such.
                        permit.end = End::GivenBack;
                        inner.tally.ended(class, Work::Gone);
                        inner.lane(which).lock().in_flight -= 1;
                    }
                }
            }
        }
    }
}

impl Inner {
    const fn lane(&self, which: Which) -> &Lane {
        &self.lanes[which as usize]
    }

    /// Looks at the limits when a window is over.
    fn turn_when_due(&self, admission: &Admission, now: Instant, settings: &Settings) {
        let now_ms = u64::try_from((now - self.start).as_millis()).unwrap_or(u64::MAX);
        let end_ms = self.window_end_ms.load(Relaxed);
        let next_ms = now_ms + u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        if now_ms < end_ms || self.window_end_ms.compare_exchange(end_ms, next_ms, Relaxed, Relaxed).is_err() {
            return;
        }
        let (below, lag) = (self.pressure.take(), self.lag.take());
        let stale = Duration::from_millis(now_ms - end_ms) > STALE;
        let lane = &settings.admission;
        let is_over = |figure: Duration, bound_ms: u32| figure > Duration::from_millis(bound_ms.into());
        let late = is_over(lag, lane.lag_ms);
        let congested =
            [late || is_over(below.mean_queued, lane.inner_queue_ms) || below.refused > 0, below.refused_critical > 0];
        for which in Which::ALL {
            let mut state = self.lane(which).lock();
            let peak = state.peak;
            state.peak = state.in_flight;
            let turn = state.limit.turn(which.bounds(lane), congested[which as usize] && !stale, peak);
            drop(state);
            self.turns.count(which, turn);
            if turn == Turn::Up {
                admission.fill(which);
            }
        }
        self.log(now);
    }

    /// One line a second, whatever is refused.
    fn log(&self, now: Instant) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if now - logged.at >= LOG_EVERY {
            let refused = self.tally.refused();
            if refused > logged.refused {
                tracing::warn!(
                    refused = refused - logged.refused,
                    "requests are refused: more is offered than can be done"
                );
            }
            *logged = Logged { at: now, refused };
        }
    }
}

impl Refused {
    const fn outcome(self) -> Outcome {
        match self {
            Self::Full => Outcome::Full,
            Self::Displaced => Outcome::Displaced,
            Self::Aged => Outcome::Aged,
            Self::Late => Outcome::Late,
            Self::Quota => Outcome::Quota,
        }
    }
}

/// A place under work; dropped, it is given to the next.
#[derive(Debug)]
pub struct Permit {
    admission: Admission,
    class: Class,
    deadline: Instant,
    queued: Duration,
    end: End,
}

/// How the work of a permit ended, when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nobody said that it did: its future was dropped, because the client went away.
    Gone,
    Answered,
    GivenBack,
}

impl Permit {
    /// How long the request stood in the queue.
    #[must_use]
    pub const fn queued(&self) -> Duration {
        self.queued
    }

    /// The work is done and its answer goes out.
    pub fn finish(mut self) {
        self.end = End::Answered;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (inner, which) = (&*self.admission.0, Which::of(self.class));
        let work = match self.end {
            End::GivenBack => return,
            End::Gone => Work::Gone,
            End::Answered if Instant::now() > self.deadline => Work::Late,
            End::Answered => Work::Good,
        };
        inner.tally.ended(self.class, work);
        inner.lane(which).lock().in_flight -= 1;
        self.admission.fill(which);
    }
}

#[cfg(test)]
mod tests;
