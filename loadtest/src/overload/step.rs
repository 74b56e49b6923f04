//! One load, offered for a while: what became of it, and what it took of the machine.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use serde::Serialize;
use tokio::time::{interval, sleep};

use super::{
    machine::{rss_kib, worked_s},
    options::OverloadOptions,
    shop::Shop,
    sums::{Spent, share},
};
use crate::{
    open::{
        Bounds, Plan, Run, Watcher,
        arrivals::{Pattern, Stage},
        generate,
        mix::{Action, Mix},
        record::Counts,
    },
    report,
};

/// Longer than any pause of a good customer: what takes longer is lost for the figures.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);
/// Room for everybody who can wait at ten times a peak of several hundred a second.
const IN_FLIGHT_MAX: usize = 6_000;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the shop is watched, and left alone before.
const IDLE: Duration = Duration::from_secs(4);
/// Of the schedule, where milliseconds do not matter.
const ROUGH_LAG: Duration = Duration::from_millis(50);
/// A busier machine is itself the bottleneck, and no model.
const MACHINE_MAX: f64 = 0.85;

/// A load to offer.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) mix: Mix,
    pub(crate) stages: Vec<Stage>,
    pub(crate) slice: Duration,
    pub(crate) timeout: Duration,
    /// Evenly spaced arrivals, where they are counted by the clock.
    pub(crate) even: bool,
    /// Shown and not judged: a busy machine is no reason not to believe it.
    pub(crate) contrast: bool,
    /// What is judged is counted and not timed: a generator that is some milliseconds late makes that no less true.
    pub(crate) counted: bool,
}

impl Load {
    pub(crate) fn steady(mix: Mix, rate: f64, lasts: Duration) -> Self {
        let stages = vec![Stage::steady(rate, lasts)];
        Self {
            mix,
            stages,
            slice: Duration::from_millis(500),
            timeout: TIMEOUT,
            even: false,
            contrast: false,
            counted: false,
        }
    }

    fn plan(&self, options: &OverloadOptions, shop: &Shop, seed: u64) -> Plan {
        let machine = if self.contrast || options.busy_machine { 1.0 } else { MACHINE_MAX };
        let mut bounds = Bounds { machine, ..Bounds::default() };
        if self.contrast {
            // Everybody waits when nothing is refused; that is what is shown.
            bounds.missed = 1.0;
        }
        if self.counted || options.busy_machine {
            bounds.lag_p99 = ROUGH_LAG;
        }
        let plan = Plan::new(shop.frontends.clone(), self.mix.clone(), self.stages.clone(), seed);
        Plan {
            arrivals: if self.even { Pattern::Constant } else { Pattern::Poisson },
            timeout: self.timeout,
            deadline: options.deadline,
            in_flight_max: IN_FLIGHT_MAX,
            slice: self.slice,
            bounds,
            ..plan
        }
    }
}

/// What was found out about a load.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) run: Run,
    /// Processor time of the shop for what it accepted and rejected.
    pub(crate) spent: Spent,
    /// Most memory of all nodes together, in KiB.
    pub(crate) rss_kib: u64,
}

impl Seen {
    /// What was spent beyond what the nodes would have taken anyway.
    pub(crate) fn spent_beside(&self, idle_s: f64) -> Spent {
        let idle_s = idle_s * self.run.elapsed.as_secs_f64();
        Spent { cpu_s: (self.spent.cpu_s - idle_s).max(0.0), ..self.spent }
    }
}

/// Offers the load and watches the shop meanwhile.
pub(crate) async fn offer(options: &OverloadOptions, shop: &Shop, load: &Load, seed: u64) -> anyhow::Result<Seen> {
    Ok(offer_while(options, shop, load, seed, async { Ok(()) }).await?.0)
}

/// The same, and does something meanwhile, from the moment on at which the first customer comes.
pub(crate) async fn offer_while<T>(
    options: &OverloadOptions,
    shop: &Shop,
    load: &Load,
    seed: u64,
    script: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(Seen, T)> {
    let processes = shop.processes().await?;
    let (watcher, mut watching) = Watcher::pair();
    let mut running = pin!(generate(load.plan(options, shop, seed), watcher));
    tokio::select! {
        ended = &mut running => anyhow::bail!("nobody came: {:?}", ended?.invalid),
        // The first sign of life: the sessions are open, and customers come.
        _ = watching.live.changed() => {}
    }
    let before_s = worked_s(&processes);
    let mut both = pin!(async { tokio::try_join!(running, script) });
    let (mut most_kib, mut looks) = (0, interval(LOOK_EVERY));
    let (run, told) = loop {
        tokio::select! {
            ended = &mut both => break ended?,
            _ = looks.tick() => most_kib = rss_kib(&processes).max(most_kib),
        }
    };
    let of = |part: fn(&Counts) -> u64| run.actions.values().map(|record| part(&record.counts)).sum::<u64>();
    let spent = Spent {
        cpu_s: worked_s(&processes) - before_s,
        accepted: of(|counts| counts.good + counts.late),
        rejected: of(|counts| counts.shed),
    };
    Ok((Seen { run, spent, rss_kib: most_kib }, told))
}

/// One step of the curve, as it is printed, plotted and kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    /// In parts of the peak.
    pub(crate) x: f64,
    pub(crate) protection: bool,
    /// Arrivals a second by the plan.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) counts: Counts,
    /// Of accepted requests, from the intended moment; those that timed out count as the time they waited.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Of rejections.
    pub(crate) rejection_p50_ms: f64,
    pub(crate) rejection_p99_ms: f64,
    pub(crate) rss_mib: f64,
    /// How busy the machine was, 0 to 1.
    pub(crate) machine: Option<f64>,
    pub(crate) lag_p99_ms: f64,
    pub(crate) kinds: BTreeMap<String, u64>,
    pub(crate) invalid: Vec<String>,
}

impl Step {
    #[expect(clippy::cast_precision_loss, reason = "KiB of this machine's memory")]
    pub(crate) fn new(x: f64, protection: bool, seen: &Seen) -> Self {
        let (run, total) = (&seen.run, seen.run.total());
        let seconds = run.offered_for().as_secs_f64();
        Self {
            x,
            protection,
            rate: total.counts.offered as f64 / seconds,
            seconds,
            p50_ms: total.latency.percentile_ms(50.0),
            p99_ms: total.latency.percentile_ms(99.0),
            rejection_p50_ms: total.rejection.percentile_ms(50.0),
            rejection_p99_ms: total.rejection.percentile_ms(99.0),
            counts: total.counts,
            rss_mib: seen.rss_kib as f64 / 1_024.0,
            machine: run.machine,
            lag_p99_ms: run.lag.percentile_ms(99.0),
            kinds: total.kinds,
            invalid: run.invalid.clone(),
        }
    }

    /// Good answers a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
    pub(crate) fn goodput(&self) -> f64 {
        self.counts.good as f64 / self.seconds
    }

    /// What went wrong, and how often.
    pub(crate) fn troubles(&self) -> String {
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
        if kinds.is_empty() { "no errors".to_owned() } else { kinds.join(", ") }
    }

    pub(crate) fn note(&self) {
        let percent = |part: u64| 100.0 * share(part, self.counts.offered).unwrap_or(0.0);
        let machine = self.machine.map_or_else(|| "?".to_owned(), |busy| format!("{:.0} %", 100.0 * busy));
        report::note(&format!(
            "  {:>5.2}x {:>6.0}/s  good {:>6.1}/s  shed {:>5.1} %  late {:>4.1} %  failed {:>4.1} %  p50 {:>6.1} ms  p99 {:>7.1} ms  \
             no in {:>5.1} ms  memory {:>4.0} MiB  processors {machine}{}",
            self.x,
            self.rate,
            self.goodput(),
            percent(self.counts.shed),
            percent(self.counts.late),
            percent(self.counts.failed() + self.counts.missed),
            self.p50_ms,
            self.p99_ms,
            self.rejection_p99_ms,
            self.rss_mib,
            if self.invalid.is_empty() { String::new() } else { format!("  INVALID: {}", self.invalid.join("; ")) },
        ));
    }
}

/// The shop's mix as requests that each take one slot of the model once, so that a multiple of the peak is that multiple of
/// the work: every look is at a product's page. Checkouts are of three requests, and have figures of their own.
pub(crate) fn one_request_each() -> Mix {
    Mix::new("products and carts", &[(Action::Product, 13.0), (Action::Add, 2.0), (Action::Cart, 3.0)])
}

/// Seconds of processor time that the shop takes each second when nobody comes: no part of any request's price.
pub(crate) async fn idle(shop: &Shop) -> anyhow::Result<f64> {
    sleep(IDLE).await;
    let processes = shop.processes().await?;
    let before_s = worked_s(&processes);
    sleep(IDLE).await;
    let idle_s = (worked_s(&processes) - before_s) / IDLE.as_secs_f64();
    report::note(&format!("idle: {:.1} ms of processor time a second", 1_000.0 * idle_s));
    Ok(idle_s)
}
