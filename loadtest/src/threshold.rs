//! `--fail 'p99(checkout)<2s'`: conditions on the numbers of the report that decide the exit code.
//!
//! A condition on something that never happened does not hold: a run without a checkout has no fast checkouts.

use std::str::FromStr;

use crate::{
    cli::parse_duration,
    measure::{Step, Tally},
};

const HELP: &str =
    "write METRIC COMPARISON VALUE, like 'p99(checkout)<2s', 'errors<10', 'error_rate<1%', 'outage<500ms'";

/// A number of the report.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Metric {
    PercentileMs(f64, Step),
    Errors(Option<Step>),
    ErrorRatePercent,
    OutageMs,
    CheckoutRate,
    Retries,
    Unknown,
    Declined,
    Acknowledged,
    Journeys,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// `p99(checkout) <= 2s` as its three parts, the outer ones without spaces around them.
    pub(crate) fn split<'a>(text: &'a str, help: &str) -> Result<(&'a str, Self, &'a str), String> {
        let at = text.find(['<', '>']).ok_or_else(|| format!("no comparison in `{text}`; {help}"))?;
        let (metric, rest) = text.split_at(at);
        let (comparison, value) = match (rest.strip_prefix("<="), rest.strip_prefix(">=")) {
            (Some(value), _) => (Self::LessOrEqual, value),
            (_, Some(value)) => (Self::GreaterOrEqual, value),
            _ if rest.starts_with('<') => (Self::Less, &rest[1..]),
            _ => (Self::Greater, &rest[1..]),
        };
        Ok((metric.trim(), comparison, value.trim()))
    }

    pub(crate) fn holds(self, measured: f64, value: f64) -> bool {
        match self {
            Self::Less => measured < value,
            Self::LessOrEqual => measured <= value,
            Self::Greater => measured > value,
            Self::GreaterOrEqual => measured >= value,
        }
    }
}

/// One condition, with the text it was written as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    metric: Metric,
    comparison: Comparison,
    value: f64,
}

/// How a threshold came out.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Outcome {
    pub(crate) threshold: String,
    pub(crate) holds: bool,
    /// The measured number in the unit of the report (milliseconds, percent, counts); `None` if nothing was measured.
    pub(crate) measured: Option<f64>,
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (metric, comparison, value) = Comparison::split(text, HELP)?;
        let metric = Metric::parse(metric)?;
        let value = metric.parse_value(value)?;
        Ok(Self { text: text.to_owned(), metric, comparison, value })
    }
}

impl Metric {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, step) = match text.split_once('(') {
            Some((name, rest)) => {
                let step = rest.strip_suffix(')').and_then(|step| Step::parse(step.trim()));
                let steps = Step::ALL.map(Step::name).join(", ");
                (name.trim(), Some(step.ok_or_else(|| format!("no such step in `{text}`; the steps are {steps}"))?))
            }
            None => (text, None),
        };
        Ok(match (name, step) {
            ("p50", Some(step)) => Self::PercentileMs(50.0, step),
            ("p90", Some(step)) => Self::PercentileMs(90.0, step),
            ("p99", Some(step)) => Self::PercentileMs(99.0, step),
            ("max", Some(step)) => Self::PercentileMs(100.0, step),
            ("p50" | "p90" | "p99" | "max", None) => return Err(format!("`{name}` needs a step: {name}(checkout)")),
            ("errors", step) => Self::Errors(step),
            ("error_rate", None) => Self::ErrorRatePercent,
            ("outage", None) => Self::OutageMs,
            ("checkout_rate", None) => Self::CheckoutRate,
            ("retries", None) => Self::Retries,
            ("unknown", None) => Self::Unknown,
            ("declined", None) => Self::Declined,
            ("acknowledged", None) => Self::Acknowledged,
            ("journeys", None) => Self::Journeys,
            _ => return Err(format!("`{text}` is no metric of the report; {HELP}")),
        })
    }

    fn parse_value(self, text: &str) -> Result<f64, String> {
        if matches!(self, Self::PercentileMs(..) | Self::OutageMs) {
            return parse_duration(text).map(|duration| duration.as_secs_f64() * 1_000.0);
        }
        let text = if self == Self::ErrorRatePercent { text.strip_suffix('%').unwrap_or("") } else { text };
        let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
        value.ok_or_else(|| format!("the value must be a number, a duration for latencies, or a percentage; {HELP}"))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
    fn measure(self, tally: &Tally, elapsed_s: f64) -> Option<f64> {
        let count = |count: u64| Some(count as f64);
        match self {
            Self::PercentileMs(percent, step) => tally.latencies(step).map(|seen| seen.percentile_ms(percent)),
            Self::Errors(None) => count(tally.errors_total()),
            Self::Errors(Some(step)) => count(tally.errors_of(step)),
            Self::ErrorRatePercent => {
                let attempts = tally.steps_total() + tally.retries;
                (attempts > 0).then(|| 100.0 * tally.errors_total() as f64 / attempts as f64)
            }
            Self::OutageMs => count(tally.longest_outage().map_or(0, |(_, ms)| ms)),
            Self::CheckoutRate => (elapsed_s > 0.0).then(|| tally.acknowledged as f64 / elapsed_s),
            Self::Retries => count(tally.retries),
            Self::Unknown => count(tally.unknown),
            Self::Declined => count(tally.declined),
            Self::Acknowledged => count(tally.acknowledged),
            Self::Journeys => count(tally.journeys),
        }
    }
}

impl Threshold {
    pub(crate) fn check(&self, tally: &Tally, elapsed_s: f64) -> Outcome {
        let measured = self.metric.measure(tally, elapsed_s);
        let holds = measured.is_some_and(|measured| self.comparison.holds(measured, self.value));
        Outcome { threshold: self.text.clone(), holds, measured }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn holds(text: &str, tally: &Tally) -> bool {
        text.parse::<Threshold>().unwrap().check(tally, 2.0).holds
    }

    #[test]
    fn thresholds_hold_or_fail_by_the_numbers() {
        let mut tally = Tally::default();
        (tally.acknowledged, tally.unknown) = (10, 1);
        for _ in 0..100 {
            tally.record(Step::Checkout, Duration::from_millis(100));
        }
        tally.error(Step::Add, "503");
        tally.outage(Step::Add, Duration::from_millis(400));
        for good in [
            "p99(checkout)<2s",
            "p50(checkout) >= 99ms",
            "max(checkout)<=101ms",
            "errors<2",
            "errors(cart)<1",
            "error_rate<=1%",
            "outage<500ms",
            "checkout_rate>4.9",
            "unknown<=1",
            "acknowledged>=10",
        ] {
            assert!(holds(good, &tally), "{good}");
        }
        for bad in ["p99(checkout)<50ms", "errors<1", "errors(add)<1", "error_rate<0.5%", "outage<400ms", "unknown<1"] {
            assert!(!holds(bad, &tally), "{bad}");
        }
    }

    #[test]
    fn what_was_never_measured_does_not_hold() {
        for text in ["p99(checkout)<1h", "p99(checkout)>1ms", "error_rate<100%"] {
            assert!(!holds(text, &Tally::default()), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for (bad, hint) in [
            ("p99(checkout)", "no comparison"),
            ("p99<2s", "needs a step"),
            ("p99(dance)<2s", "no such step"),
            ("p99(checkout)<2", "no unit"),
            ("p98(checkout)<2s", "no metric"),
            ("errors<many", "must be a number"),
            ("error_rate<1", "percentage"),
            ("outage(cart)<1s", "no metric"),
        ] {
            let error = bad.parse::<Threshold>().unwrap_err();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }
}
