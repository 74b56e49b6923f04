//! This run beside an earlier one: ratios, and which way is worse.

use serde::Serialize;

use super::summary::Summary;
use crate::open::mix::Action;

/// Differences of latency below this are the clock's and the machine's, not the shop's.
const NOISE_MS: f64 = 1.0;
/// Differences of shares below this (in percentage points) are single customers.
const NOISE_POINTS: f64 = 0.1;

/// One figure of both runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Difference {
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    pub(crate) before: f64,
    pub(crate) now: f64,
    /// Now by before; `None` if there was nothing before.
    pub(crate) ratio: Option<f64>,
    pub(crate) verdict: &'static str,
    /// Worse by more than was allowed.
    pub(crate) regression: bool,
}

/// Both runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    /// Whether the plans differ, which makes most of the figures incomparable.
    pub(crate) other_plan: bool,
    pub(crate) differences: Vec<Difference>,
}

#[derive(Debug, Clone, Copy)]
enum Good {
    More,
    Less,
}

/// Compares the figures that people ask for. `allowed` is how much worse a figure may be, as a part of the earlier one.
pub(crate) fn compare(before: &Summary, now: &Summary, allowed: Option<f64>) -> Comparison {
    let mut differences = Vec::new();
    let mut put = |figure: String, unit, (before, now): (Option<f64>, Option<f64>), good, noise: f64| {
        let (Some(before), Some(now)) = (before, now) else { return };
        let loss = match good {
            Good::More => before - now,
            Good::Less => now - before,
        };
        let verdict = match () {
            () if loss.abs() <= noise.max(0.02 * before.abs()) => "same",
            () if loss > 0.0 => "worse",
            () => "better",
        };
        let regression = allowed.is_some_and(|allowed| loss > before.abs() * allowed && loss > noise);
        let ratio = (before > 0.0).then(|| now / before);
        differences.push(Difference { figure, unit, before, now, ratio, verdict, regression });
    };
    put("goodput".to_owned(), "/s", (Some(before.goodput_per_s), Some(now.goodput_per_s)), Good::More, 0.0);
    let rows = std::iter::once(None).chain(Action::ALL.into_iter().map(Some));
    for action in rows {
        let (Some(old), Some(new)) = (before.row(action), now.row(action)) else { continue };
        let of = action.map_or(String::new(), |action| format!("({})", action.name()));
        if action.is_none() {
            put("p50".to_owned(), "ms", (old.latency.p50, new.latency.p50), Good::Less, NOISE_MS);
            put("p99.9".to_owned(), "ms", (old.latency.p999, new.latency.p999), Good::Less, NOISE_MS);
        }
        put(format!("p99{of}"), "ms", (old.latency.p99, new.latency.p99), Good::Less, NOISE_MS);
        let percent = |row: &super::summary::Row, part: u64| row.counts.share(part).map(|share| 100.0 * share);
        let failed = (percent(old, old.counts.failed()), percent(new, new.counts.failed()));
        put(format!("errors{of}"), "%", failed, Good::Less, NOISE_POINTS);
        let shed = (percent(old, old.counts.shed), percent(new, new.counts.shed));
        put(format!("shed{of}"), "%", shed, Good::Less, NOISE_POINTS);
    }
    // Shares of nothing in both runs say nothing.
    differences.retain(|one| one.unit != "%" || one.before > 0.0 || one.now > 0.0);
    let plan = |of: &Summary| (of.facts.mix.clone(), of.facts.stages.clone(), of.facts.deadline_ms);
    Comparison { other_plan: plan(before) != plan(now), differences }
}

impl Comparison {
    pub(crate) fn has_regression(&self) -> bool {
        self.differences.iter().any(|one| one.regression)
    }
}
