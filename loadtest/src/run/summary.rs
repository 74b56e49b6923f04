//! The figures of a run as they are written down: the JSON report, and what `--compare` reads.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    audit::{Audit, Verdict},
    measure::Latencies,
    open::{
        Plan, Run,
        arrivals::{Pattern, Stage},
        mix::Action,
        record::{Counts, Record},
        slices::Slice,
    },
};

/// Samples below which a percentile is a story about a handful of customers.
const P999_SAMPLES_MIN: u64 = 10_000;

/// All figures of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) facts: Facts,
    /// All arrivals together.
    pub(crate) total: Row,
    /// By action; `prepare` is the requests on the way to checkouts.
    pub(crate) actions: BTreeMap<Action, Row>,
    pub(crate) offered_per_s: f64,
    pub(crate) goodput_per_s: f64,
    pub(crate) generator: Generator,
    pub(crate) slice_ms: u64,
    pub(crate) slices: Vec<Slice>,
    /// The audit's verdict and what it found wrong, if it was asked for.
    pub(crate) audit: Option<Audited>,
}

/// What was run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) targets: Vec<String>,
    pub(crate) mix: String,
    pub(crate) stages: String,
    pub(crate) arrivals: String,
    pub(crate) seed: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) timeout_ms: u64,
    pub(crate) planned_ms: u64,
    pub(crate) elapsed_ms: u64,
    pub(crate) interrupted: bool,
}

/// How the generator itself fared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Generator {
    pub(crate) lag_p50_ms: f64,
    pub(crate) lag_p99_ms: f64,
    pub(crate) lag_max_ms: f64,
    pub(crate) requests: u64,
    pub(crate) cpu_us_per_request: Option<f64>,
    /// Of one processor, 0 to 1.
    pub(crate) cpu_share: Option<f64>,
    /// Of all processors and everybody, 0 to 1.
    pub(crate) machine_share: Option<f64>,
    pub(crate) most_in_flight: usize,
    /// Why the run may not be believed; none if it may.
    pub(crate) invalid: Vec<String>,
}

/// One action, or all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) counts: Counts,
    pub(crate) resent: u64,
    /// From the intended moment, of good, late and timed-out requests.
    pub(crate) latency: Percentiles,
    /// The same from the real sending.
    pub(crate) naive: Percentiles,
    /// Of refusals.
    pub(crate) rejection: Percentiles,
    pub(crate) kinds: BTreeMap<String, u64>,
}

/// A distribution in a few numbers, in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// Only of ten thousand or more.
    pub(crate) p999: Option<f64>,
    pub(crate) max: Option<f64>,
    /// Percent and milliseconds, ten steps for each nine.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// The audit in short.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Audited {
    pub(crate) passed: bool,
    pub(crate) verdict: String,
    pub(crate) orders: usize,
    pub(crate) charges: usize,
    pub(crate) acknowledged: usize,
    pub(crate) recovered: usize,
    pub(crate) problems: Vec<String>,
}

impl Summary {
    pub(crate) fn new(plan: &Plan, run: &Run, audit: Option<&Audit>) -> Self {
        let total = Row::new(&run.total());
        let seconds = run.offered_for().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
        let offered_per_s = total.counts.offered as f64 / seconds;
        let generator = Generator {
            lag_p50_ms: run.lag.percentile_ms(50.0),
            lag_p99_ms: run.lag.percentile_ms(99.0),
            lag_max_ms: run.lag.percentile_ms(100.0),
            requests: run.requests(),
            cpu_us_per_request: run.generator_per_request().map(|each| each.as_secs_f64() * 1e6),
            cpu_share: run.generator.map(|worked| worked.as_secs_f64() / run.elapsed.as_secs_f64().max(0.001)),
            machine_share: run.machine,
            most_in_flight: run.most_in_flight,
            invalid: run.invalid.clone(),
        };
        Self {
            facts: Facts::new(plan, run),
            total,
            actions: run.actions.iter().map(|(action, record)| (*action, Row::new(record))).collect(),
            offered_per_s,
            goodput_per_s: run.goodput(),
            generator,
            slice_ms: millis(run.slice),
            slices: run.slices.clone(),
            audit: audit.map(Audited::new),
        }
    }

    /// The row of an action, or of all.
    pub(crate) fn row(&self, action: Option<Action>) -> Option<&Row> {
        action.map_or(Some(&self.total), |action| self.actions.get(&action))
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Facts {
    fn new(plan: &Plan, run: &Run) -> Self {
        let arrivals = if plan.arrivals == Pattern::Poisson { "poisson" } else { "constant" };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            targets: plan.targets.iter().map(ToString::to_string).collect(),
            mix: plan.mix.name.clone(),
            stages: plan.stages.iter().map(written).collect::<Vec<_>>().join(", "),
            arrivals: arrivals.to_owned(),
            seed: plan.seed,
            deadline_ms: millis(plan.deadline),
            timeout_ms: millis(plan.timeout),
            planned_ms: millis(run.planned),
            elapsed_ms: millis(run.elapsed),
            interrupted: run.interrupted,
        }
    }
}

fn written(stage: &Stage) -> String {
    let ms = millis(stage.lasts);
    let lasts = if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") };
    let Stage { from, to, .. } = stage;
    if from.to_bits() == to.to_bits() { format!("{lasts}@{from}") } else { format!("{lasts}@{from}..{to}") }
}

impl Row {
    fn new(record: &Record) -> Self {
        Self {
            counts: record.counts,
            resent: record.resent,
            latency: Percentiles::new(&record.latency),
            naive: Percentiles::new(&record.naive),
            rejection: Percentiles::new(&record.rejection),
            kinds: record.kinds.clone(),
        }
    }
}

impl Percentiles {
    fn new(latencies: &Latencies) -> Self {
        let count = latencies.count();
        if count == 0 {
            return Self::default();
        }
        let at = |percent| Some(latencies.percentile_ms(percent));
        // As far as there are customers beyond the percentile.
        #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
        let beyond = |percent: &f64| (100.0 - percent) / 100.0 * count as f64 >= 1.0;
        let percents = (0..=60).map(|step| 100.0 * (1.0 - 0.1_f64.powf(f64::from(step) / 10.0)));
        let curve = percents.take_while(beyond).map(|percent| (percent, latencies.percentile_ms(percent))).collect();
        Self {
            count,
            p50: at(50.0),
            p90: at(90.0),
            p95: at(95.0),
            p99: at(99.0),
            p999: at(99.9).filter(|_| count >= P999_SAMPLES_MIN),
            max: at(100.0),
            curve,
        }
    }
}

impl Audited {
    fn new(audit: &Audit) -> Self {
        Self {
            passed: audit.verdict == Verdict::Pass,
            verdict: audit.verdict.to_string(),
            orders: audit.orders,
            charges: audit.charges,
            acknowledged: audit.acknowledged,
            recovered: audit.recovered,
            problems: audit.discrepancies.iter().chain(&audit.gaps).take(20).cloned().collect(),
        }
    }
}
