//! `--fail`: conditions on the figures of an open-loop run that decide the exit code.
//!
//! A condition on something that never happened does not hold: a run without a checkout has no fast checkouts.

use std::str::FromStr;

use super::summary::Summary;
use crate::{
    cli::parse_duration,
    open::mix::Action,
    threshold::{Comparison, Outcome},
};

const HELP: &str = "write METRIC COMPARISON VALUE, like 'p99<300ms', 'p99(checkout)<1s', 'errors<0.1%', 'shed<5%', 'goodput>90/s', or 'audit'";

/// A part of the arrivals.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Good,
    Late,
    Shed,
    /// Wrong answers, broken connections and timeouts.
    Errors,
    Timeouts,
    Missed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    PercentileMs(f64),
    Count(Part),
    Percent(Part),
    Goodput,
}

/// One condition, with the text it was written as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    /// `None` for the audit.
    condition: Option<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    metric: Metric,
    action: Option<Action>,
    comparison: Comparison,
    value: f64,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "audit" {
            return Ok(Self { text: text.to_owned(), condition: None });
        }
        let (name, comparison, value) = Comparison::split(text, HELP)?;
        let (name, action) = match name.split_once('(') {
            Some((name, rest)) => {
                let action = rest.strip_suffix(')').and_then(|action| Action::parse(action.trim()));
                let known = Action::ALL.map(Action::name).join(", ");
                let action = action.ok_or_else(|| format!("no such action in `{text}`; the actions are {known}"))?;
                (name.trim(), Some(action))
            }
            None => (name, None),
        };
        let (metric, value) = read(name, value)?;
        Ok(Self { text: text.to_owned(), condition: Some(Condition { metric, action, comparison, value }) })
    }
}

fn read(name: &str, value: &str) -> Result<(Metric, f64), String> {
    if let Some(percent) = percentile(name) {
        return Ok((Metric::PercentileMs(percent), parse_duration(value)?.as_secs_f64() * 1_000.0));
    }
    let number = |text: &str| {
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("`{value}` is no number, percentage or rate; {HELP}"))
    };
    if name == "goodput" {
        return Ok((Metric::Goodput, number(value.trim_end_matches("/s"))?));
    }
    let part = match name {
        "good" => Part::Good,
        "late" => Part::Late,
        "shed" => Part::Shed,
        "errors" => Part::Errors,
        "timeouts" => Part::Timeouts,
        "missed" => Part::Missed,
        _ => return Err(format!("`{name}` is no metric of the report; {HELP}")),
    };
    match value.strip_suffix('%') {
        Some(percent) => Ok((Metric::Percent(part), number(percent)?)),
        None => Ok((Metric::Count(part), number(value)?)),
    }
}

fn percentile(name: &str) -> Option<f64> {
    Some(match name {
        "p50" => 50.0,
        "p90" => 90.0,
        "p95" => 95.0,
        "p99" => 99.0,
        "p99.9" => 99.9,
        "max" => 100.0,
        _ => return None,
    })
}

impl Threshold {
    pub(crate) fn is_audit(&self) -> bool {
        self.condition.is_none()
    }

    pub(crate) fn check(&self, summary: &Summary) -> Outcome {
        let Some(condition) = &self.condition else {
            let holds = summary.audit.as_ref().is_some_and(|audit| audit.passed);
            return Outcome { threshold: self.text.clone(), holds, measured: None };
        };
        let measured = condition.measure(summary);
        let holds = measured.is_some_and(|measured| condition.comparison.holds(measured, condition.value));
        Outcome { threshold: self.text.clone(), holds, measured }
    }
}

impl Condition {
    #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
    fn measure(&self, summary: &Summary) -> Option<f64> {
        let row = summary.row(self.action)?;
        let counts = &row.counts;
        let part = |part: Part| match part {
            Part::Good => counts.good,
            Part::Late => counts.late,
            Part::Shed => counts.shed,
            Part::Errors => counts.failed(),
            Part::Timeouts => counts.timeout,
            Part::Missed => counts.missed,
        };
        match self.metric {
            Metric::PercentileMs(percent) => {
                let latency = &row.latency;
                match percent {
                    50.0 => latency.p50,
                    90.0 => latency.p90,
                    95.0 => latency.p95,
                    99.0 => latency.p99,
                    99.9 => latency.p999,
                    _ => latency.max,
                }
            }
            Metric::Count(of) => (counts.ended() > 0).then(|| part(of) as f64),
            Metric::Percent(of) => counts.share(part(of)).map(|share| 100.0 * share),
            Metric::Goodput => {
                let all = summary.total.counts.good;
                if all == 0 { Some(0.0) } else { Some(summary.goodput_per_s * counts.good as f64 / all as f64) }
            }
        }
    }
}
