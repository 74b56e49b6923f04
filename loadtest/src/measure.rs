//! What the customers saw: counts, errors by kind, latencies, outages.
//!
//! One tally behind one mutex, never held across an await: at a few thousand steps a second the lock is not what is
//! measured, and one tally is simpler to read live than one per customer. Latencies are those of whole steps as a
//! customer feels them, with all attempts and waits, because a fast attempt after a slow failure is a slow step.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

/// Kinds of errors kept apart; the rest is counted as `other`, so that odd answers cannot fill the memory.
const ERROR_KINDS_MAX: usize = 64;
/// Longest latency told apart, in microseconds: one hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// A step of the journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Session,
    Browse,
    Product,
    Add,
    Cart,
    /// From the first attempt to the definite outcome, with the polls of the order after a 202.
    Checkout,
    /// One poll of an order.
    Order,
}

impl Step {
    pub(crate) const ALL: [Self; 7] =
        [Self::Session, Self::Browse, Self::Product, Self::Add, Self::Cart, Self::Checkout, Self::Order];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Browse => "browse",
            Self::Product => "product",
            Self::Add => "add",
            Self::Cart => "cart",
            Self::Checkout => "checkout",
            Self::Order => "order",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// All counts of one run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    latencies: BTreeMap<Step, Latencies>,
    /// Client-visible errors by step and kind. Resent attempts count too: the customer's program saw them.
    pub(crate) errors: BTreeMap<(Step, String), u64>,
    /// The longest continuous stretch, in milliseconds, in which one call of this step kept failing.
    pub(crate) outages_ms: BTreeMap<Step, u64>,
    pub(crate) journeys: u64,
    pub(crate) retries: u64,
    pub(crate) acknowledged: u64,
    pub(crate) declined: u64,
    pub(crate) out_of_stock: u64,
    pub(crate) refused: u64,
    pub(crate) total_changed: u64,
    pub(crate) unknown: u64,
}

/// The latencies of one step.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    #[expect(clippy::expect_used, reason = "the bounds are constants that the library accepts: 1 < high, 3 digits")]
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("constant bounds are valid"))
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn add(&mut self, more: &Self) {
        // Cannot fail: all histograms here have the same bounds.
        let _ = self.0.add(&more.0);
    }

    /// The latency below which `percent` of the calls stayed, in milliseconds; 100 is the maximum.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most an hour in microseconds, far below 2^53")]
        let us = self.0.value_at_percentile(percent) as f64;
        us / 1_000.0
    }
}

impl Tally {
    pub(crate) fn record(&mut self, step: Step, took: Duration) {
        self.latencies.entry(step).or_default().record(took);
    }

    pub(crate) fn latencies(&self, step: Step) -> Option<&Latencies> {
        self.latencies.get(&step)
    }

    pub(crate) fn error(&mut self, step: Step, kind: &str) {
        let mut slot = (step, kind.to_owned());
        if self.errors.len() >= ERROR_KINDS_MAX && !self.errors.contains_key(&slot) {
            slot.1 = "other".to_owned();
        }
        *self.errors.entry(slot).or_default() += 1;
    }

    pub(crate) fn outage(&mut self, step: Step, lasted: Duration) {
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        let longest_ms = self.outages_ms.entry(step).or_default();
        *longest_ms = lasted_ms.max(*longest_ms);
    }

    pub(crate) fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    pub(crate) fn errors_of(&self, step: Step) -> u64 {
        self.errors.iter().filter(|((of, _), _)| *of == step).map(|(_, count)| count).sum()
    }

    pub(crate) fn steps_total(&self) -> u64 {
        self.latencies.values().map(Latencies::count).sum()
    }

    /// The longest outage seen by one call, and its step.
    pub(crate) fn longest_outage(&self) -> Option<(Step, u64)> {
        self.outages_ms.iter().map(|(step, ms)| (*step, *ms)).max_by_key(|(_, ms)| *ms)
    }
}

/// The tally, shared by the customers and the progress line.
#[derive(Debug, Default)]
pub(crate) struct Stats(Mutex<Tally>);

impl Stats {
    /// Runs `work` on the tally. A customer that panicked leaves whole numbers behind, so poison is ignored.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Tally) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Minimum, median and maximum; there is at least one value.
pub(crate) fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    (values[0], f64::midpoint(values[last / 2], values[values.len() / 2]), values[last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_has_a_true_median() {
        assert_eq!(spread(&mut [3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(&mut [4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert_eq!(spread(&mut [7.0]), (7.0, 7.0, 7.0));
    }

    #[test]
    fn the_longest_outage_is_kept_per_step_and_overall() {
        let mut tally = Tally::default();
        assert_eq!(tally.longest_outage(), None);
        tally.outage(Step::Add, Duration::from_millis(40));
        tally.outage(Step::Cart, Duration::from_millis(300));
        tally.outage(Step::Cart, Duration::from_millis(20));
        assert_eq!(tally.longest_outage(), Some((Step::Cart, 300)));
        assert_eq!(tally.outages_ms[&Step::Add], 40);
    }

    #[test]
    fn odd_errors_cannot_fill_the_memory() {
        let mut tally = Tally::default();
        for number in 0..1_000 {
            tally.error(Step::Add, &format!("odd {number}"));
        }
        assert_eq!(tally.errors_total(), 1_000);
        assert_eq!(tally.errors.len(), ERROR_KINDS_MAX + 1);
    }
}
