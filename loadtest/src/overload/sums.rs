//! The arithmetic of the figures, apart from everything that measures: predictions, shares, and when all is well again.

use std::time::Duration;

use crate::open::record::Counts;

/// Goodput in parts of the peak, offered `x` times the capacity, if a rejection costs `r` of an accepted request
/// (`operations.md` 1.3).
pub(crate) fn predicted(r: f64, x: f64) -> f64 {
    if x <= 1.0 { x } else { ((1.0 - r * x) / (1.0 - r)).max(0.0) }
}

/// What was spent on so many accepted and rejected requests.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(crate) struct Spent {
    pub(crate) cpu_s: f64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

impl Spent {
    pub(crate) fn add(&mut self, more: Self) {
        self.cpu_s += more.cpu_s;
        self.accepted += more.accepted;
        self.rejected += more.rejected;
    }
}

/// Processor seconds of an accepted request and of a rejection: `calm` has next to no rejections, `hot` has many. `None` if
/// one of them is missing.
#[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
pub(crate) fn costs(calm: Spent, hot: Spent) -> Option<(f64, f64)> {
    if calm.accepted < 100 || hot.rejected < 100 || calm.rejected * 20 > calm.accepted {
        return None;
    }
    let accepted = calm.cpu_s / calm.accepted as f64;
    let rejected = (hot.cpu_s - accepted * hot.accepted as f64).max(0.0) / hot.rejected as f64;
    Some((accepted, rejected))
}

/// Part of a whole, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How long after `from` it took until success was at least `level` for good: over the next `hold`, and over all the time
/// that was looked at. `None` if that did not happen, or too late to be held for so long.
pub(crate) fn recovered_after(
    slices: &[Counts],
    length: Duration,
    from: Duration,
    hold: Duration,
    level: f64,
) -> Option<Duration> {
    let index = |at: Duration| usize::try_from(at.as_nanos().div_ceil(length.as_nanos().max(1))).unwrap_or(usize::MAX);
    let (first, held) = (index(from), index(hold).max(1));
    let good = |slices: &[Counts]| {
        let mut sum = Counts::default();
        slices.iter().for_each(|slice| sum.add(slice));
        sum.share(sum.good).is_some_and(|success| success >= level)
    };
    let last = slices.len().checked_sub(held)?;
    let start = (first..=last).find(|start| good(&slices[*start..start + held]) && good(&slices[*start..]))?;
    let at = length * u32::try_from(start).ok()?;
    Some(at.saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_is_the_table_of_the_design() {
        let percent = |r: f64, x: f64| (1_000.0 * predicted(r, x)).round() / 10.0;
        assert_eq!((percent(0.01, 5.0), percent(0.01, 10.0)), (96.0, 90.9));
        assert_eq!((percent(0.0625, 1.5), percent(0.0625, 10.0)), (96.7, 40.0));
        assert_eq!((percent(0.02, 0.5), percent(0.02, 1.0)), (50.0, 100.0));
        assert_eq!(percent(0.2, 10.0), 0.0, "all is spent on saying no");
    }

    #[test]
    fn a_rejection_is_what_is_left_when_the_accepted_are_paid() {
        let calm = Spent { cpu_s: 2.0, accepted: 1_000, rejected: 0 };
        let hot = Spent { cpu_s: 3.0, accepted: 1_000, rejected: 50_000 };
        let (accepted, rejected) = costs(calm, hot).unwrap();
        assert!((accepted - 0.002).abs() < 1e-12 && (rejected - 0.000_02).abs() < 1e-12);
        assert_eq!(costs(calm, Spent { rejected: 99, ..hot }), None, "too few to say anything");
        assert_eq!(costs(Spent { rejected: 51, ..calm }, hot), None, "not calm");
    }

    fn slices(good_of_ten: &[u64]) -> Vec<Counts> {
        let slice = |good: &u64| Counts { offered: 10, good: *good, shed: 10 - good, ..Counts::default() };
        good_of_ten.iter().map(slice).collect()
    }

    #[test]
    fn recovery_counts_from_the_end_of_the_spike_to_the_first_time_that_lasts() {
        let second = Duration::from_secs(1);
        let after = |good: &[u64]| recovered_after(&slices(good), second, 3 * second, 2 * second, 0.99);
        assert_eq!(after(&[10, 0, 0, 10, 10, 10]), Some(Duration::ZERO));
        assert_eq!(after(&[10, 0, 0, 2, 7, 10, 10, 10]), Some(2 * second));
        assert_eq!(after(&[10, 0, 0, 10, 2, 10, 10, 10]), Some(2 * second), "well for a moment is not well");
        assert_eq!(after(&[10, 0, 0, 0, 0, 0, 10]), None, "not held for so long");
        assert_eq!(after(&[10, 0, 0, 10, 10, 10, 10, 10, 0, 0]), None, "ill again");
        assert_eq!(after(&[10]), None);
    }

    #[test]
    fn shares_of_nothing_are_not_zero() {
        assert_eq!((share(1, 4), share(0, 0)), (Some(0.25), None));
    }
}
