//! The open-loop generator: customers come by a plan, whether or not those before them were served.
//!
//! A closed loop (`quick`, `chaos`) waits for answers, so a slow shop slows its customers down and overload cannot be seen
//! (coordinated omission). Here a [`Plan`] fixes every arrival beforehand, [`generate`] lets them in and returns a [`Run`],
//! and latencies count from the intended moment. `loadtest run` and `loadtest overload` are made of these three.

pub(crate) mod actions;
pub(crate) mod arrivals;
mod filled;
mod generator;
mod machine;
pub(crate) mod mix;
pub(crate) mod record;
mod sender;
mod sessions;
pub(crate) mod slices;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use reqwest::Url;
use tokio::sync::watch;

use self::{
    arrivals::{Pattern, Stage, length},
    mix::{Action, Mix},
    record::{Book, Counts, Record, Window},
    slices::Slice,
};
use crate::{journey::Checkout, measure::Latencies};

/// What is to be offered to whom.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Base URLs of storefronts; each arrival goes to one of them at random.
    pub(crate) targets: Vec<Url>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) arrivals: Pattern,
    /// What customers come for; here too are resends, payment tokens and whether all want one product.
    pub(crate) mix: Mix,
    /// One sending of a request is given up after this time.
    pub(crate) timeout: Duration,
    /// A right answer later than this, from the intended moment, is late and no goodput.
    pub(crate) deadline: Duration,
    /// Most arrivals at work at a time; more are missed, and too many of those make the run invalid.
    pub(crate) in_flight_max: usize,
    /// Length of the slices of [`Run::slices`].
    pub(crate) slice: Duration,
    pub(crate) seed: u64,
    pub(crate) bounds: Bounds,
}

/// Beyond these the run says more about the generator than about the shop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// p99 of the time between the intended moment and the sending.
    pub(crate) lag_p99: Duration,
    /// Part of the arrivals that were never sent.
    pub(crate) missed: f64,
    /// How busy all cores of the machine may be, 0 to 1; 1 when a busy machine is what is measured.
    pub(crate) machine: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { lag_p99: Duration::from_millis(5), missed: 0.001, machine: 0.85 }
    }
}

impl Plan {
    /// A plan with the defaults of `loadtest run`; change the fields as needed.
    pub(crate) fn new(targets: Vec<Url>, mix: Mix, stages: Vec<Stage>, seed: u64) -> Self {
        Self {
            targets,
            stages,
            arrivals: Pattern::Poisson,
            mix,
            timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(1),
            in_flight_max: 5_000,
            slice: Duration::from_secs(1),
            seed,
            bounds: Bounds::default(),
        }
    }

    /// The longest that an arrival can take: a checkout of four requests, each sent as often as customers do.
    fn wait_max(&self) -> Duration {
        let impatience = self.mix.resend.as_ref().map_or(Duration::ZERO, |resend| resend.after * resend.times);
        4 * (self.timeout + impatience)
    }
}

/// The ear of a run under way: what it shows, and how it is ended early.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    live: watch::Sender<Live>,
    stop: watch::Receiver<bool>,
}

/// The other end of a [`Watcher`]. Dropped, the run goes on.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) live: watch::Receiver<Live>,
    /// Send `true` to let no more customers in; those who are there are waited for.
    pub(crate) stop: watch::Sender<bool>,
}

impl Watcher {
    pub(crate) fn pair() -> (Self, Watching) {
        let ((live, shown), (stop, stopped)) = (watch::channel(Live::default()), watch::channel(false));
        (Self { live, stop: stopped }, Watching { live: shown, stop })
    }

    fn show(&self, live: Live) {
        self.live.send_replace(live);
    }
}

/// A look at a run, four times a second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    pub(crate) elapsed: Duration,
    pub(crate) planned: Duration,
    /// Arrivals a second that the plan asks for now.
    pub(crate) rate: f64,
    pub(crate) in_flight: usize,
    /// What happened since the look before.
    pub(crate) window: Window,
    pub(crate) total: Counts,
    pub(crate) lag_p99_ms: f64,
}

/// What a run found out.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) planned: Duration,
    /// Until the last customer had ended.
    pub(crate) elapsed: Duration,
    pub(crate) slice: Duration,
    /// By the moment at which customers came, from the beginning on.
    pub(crate) slices: Vec<Slice>,
    /// Those that happened; [`Action::Prepare`] has no arrivals of its own.
    pub(crate) actions: BTreeMap<Action, Record>,
    /// From the intended moment to the sending of each arrival's first request.
    pub(crate) lag: Latencies,
    /// Processor time of the generator's thread, if the machine tells.
    pub(crate) generator: Option<Duration>,
    /// How busy the whole machine was, 0 to 1.
    pub(crate) machine: Option<f64>,
    pub(crate) most_in_flight: usize,
    pub(crate) interrupted: bool,
    /// Why the run may not be believed; none if it may.
    pub(crate) invalid: Vec<String>,
    /// All checkouts that were sent, for the audit.
    pub(crate) checkouts: Vec<Checkout>,
}

/// Runs the plan, on a thread of its own, to its end.
///
/// Fails with [`crate::InvalidRun`] if a target does not answer or is no shop; an overloaded shop is a result and no failure.
pub(crate) async fn generate(plan: Plan, watcher: Watcher) -> anyhow::Result<Run> {
    let work = move || {
        machine::hurry();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(generator::run(plan, watcher))
    };
    tokio::task::spawn_blocking(work).await.context("the generator failed: this is a bug of loadtest")?
}

impl Run {
    fn new(
        plan: &Plan,
        book: Book,
        elapsed: Duration,
        generator: Option<Duration>,
        machine: Option<f64>,
        checkouts: Vec<Checkout>,
    ) -> Self {
        let (actions, slices, lag) = book.close();
        let mut run = Self {
            planned: length(&plan.stages),
            elapsed,
            slice: plan.slice,
            slices,
            actions,
            lag,
            generator,
            machine,
            most_in_flight: 0,
            interrupted: false,
            invalid: Vec::new(),
            checkouts,
        };
        run.invalid = run.doubts(&plan.bounds);
        run
    }

    /// All arrivals together; their requests on the way to checkouts are not in it.
    pub(crate) fn total(&self) -> Record {
        let mut total = Record::default();
        self.actions.iter().filter(|(action, _)| **action != Action::Prepare).for_each(|(_, record)| total.add(record));
        total
    }

    /// All arrivals that came in a stretch of time.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Counts {
        let mut sum = Counts::default();
        let inside = |index: usize| {
            let began = self.slice * u32::try_from(index).unwrap_or(u32::MAX);
            began >= from && began + self.slice <= to
        };
        self.slices
            .iter()
            .enumerate()
            .filter(|(index, _)| inside(*index))
            .for_each(|(_, slice)| sum.add(&slice.total()));
        sum
    }

    /// Good answers a second, over the planned time.
    pub(crate) fn goodput(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
        let good = self.total().counts.good as f64;
        good / self.offered_for().as_secs_f64().max(0.001)
    }

    /// How long customers were let in.
    pub(crate) fn offered_for(&self) -> Duration {
        if self.interrupted { self.elapsed.min(self.planned) } else { self.planned }
    }

    /// All requests, those on the way to checkouts too.
    pub(crate) fn requests(&self) -> u64 {
        self.actions.values().map(|record| record.counts.sent).sum()
    }

    /// The generator's processor time for one request.
    pub(crate) fn generator_per_request(&self) -> Option<Duration> {
        let requests = u32::try_from(self.requests()).ok()?;
        self.generator?.checked_div(requests)
    }

    fn doubts(&self, bounds: &Bounds) -> Vec<String> {
        let mut doubts = Vec::new();
        let (lag_ms, lag_max_ms) = (self.lag.percentile_ms(99.0), bounds.lag_p99.as_secs_f64() * 1_000.0);
        if lag_ms > lag_max_ms {
            doubts.push(format!("the generator was late: schedule lag p99 {lag_ms:.1} ms, at most {lag_max_ms:.1} ms"));
        }
        let counts = self.total().counts;
        if counts.share(counts.missed).is_some_and(|share| share > bounds.missed) {
            let (missed, offered, most) = (counts.missed, counts.offered, 100.0 * bounds.missed);
            doubts
                .push(format!("{missed} of {offered} arrivals were never sent (too many in flight), at most {most} %"));
        }
        if let Some(busy) = self.machine.filter(|busy| *busy > bounds.machine) {
            let (busy, most) = (100.0 * busy, 100.0 * bounds.machine);
            doubts.push(format!("the machine was busy: {busy:.0} % of its processors, at most {most:.0} %"));
        }
        if counts.offered == 0 {
            doubts.push("nobody came".to_owned());
        }
        doubts
    }
}
