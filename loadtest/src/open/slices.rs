//! The run in slices of time: counts of each action, and a few percentiles.
//!
//! Slices are by the moment at which a customer came. Only young slices hold a whole histogram: once nobody of a slice can
//! still be waiting it is reduced to three numbers, or a day's run would not fit into memory.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{mix::Action, record::Counts};

/// Longest latency told apart in a slice, in microseconds: two minutes, longer than a request may take.
const LATENCY_MAX_US: u64 = 120_000_000;
/// Most slices of a run: a day of seconds. What comes later is counted in the last one.
const SLICES_MAX: usize = 86_400;

/// One slice of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// By action; all but `prepare` are arrivals.
    pub(crate) counts: BTreeMap<Action, Counts>,
    /// Latencies of good, late and timed-out arrivals from the intended moment; `None` if there were none.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
}

impl Slice {
    /// All arrivals of the slice.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        let arrivals = self.counts.iter().filter(|(action, _)| **action != Action::Prepare);
        arrivals.for_each(|(_, counts)| total.add(counts));
        total
    }
}

/// The slices of a run under way.
#[derive(Debug)]
pub(crate) struct Slices {
    length: Duration,
    counts: Vec<[Counts; Action::COUNT]>,
    percentiles: Vec<[Option<f64>; 3]>,
    young: BTreeMap<usize, Histogram<u64>>,
}

impl Slices {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, counts: Vec::new(), percentiles: Vec::new(), young: BTreeMap::new() }
    }

    fn index(&self, came: Duration) -> usize {
        let index = came.as_nanos() / self.length.as_nanos().max(1);
        usize::try_from(index).unwrap_or(usize::MAX).min(SLICES_MAX - 1)
    }

    pub(crate) fn counts(&mut self, action: Action, came: Duration) -> &mut Counts {
        let index = self.index(came);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, Default::default());
            self.percentiles.resize(index + 1, [None; 3]);
        }
        &mut self.counts[index][action as usize]
    }

    #[expect(clippy::expect_used, reason = "the bounds are constants that the library accepts")]
    pub(crate) fn latency(&mut self, came: Duration, took: Duration) {
        let index = self.index(came);
        let fresh = || Histogram::new_with_bounds(1, LATENCY_MAX_US, 2).expect("constant bounds are valid");
        let us = u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US);
        self.young.entry(index).or_insert_with(fresh).saturating_record(us);
    }

    /// Reduces the slices whose customers have all ended: those before `came`.
    pub(crate) fn reduce_before(&mut self, came: Duration) {
        let old = self.young.split_off(&self.index(came));
        for (index, histogram) in std::mem::replace(&mut self.young, old) {
            #[expect(clippy::cast_precision_loss, reason = "at most two minutes in microseconds")]
            let ms = |us: u64| Some(us as f64 / 1_000.0);
            let at = |percent| ms(histogram.value_at_percentile(percent));
            self.percentiles[index] = [at(50.0), at(99.0), ms(histogram.max())];
        }
    }

    pub(crate) fn close(mut self) -> Vec<Slice> {
        self.reduce_before(Duration::MAX);
        let named = |counts: [Counts; Action::COUNT]| {
            let used = |(_, counts): &(Action, Counts)| *counts != Counts::default();
            Action::ALL.into_iter().zip(counts).filter(used).collect()
        };
        let slices = self.counts.into_iter().zip(self.percentiles);
        let slices =
            slices.map(|(counts, [p50_ms, p99_ms, max_ms])| Slice { counts: named(counts), p50_ms, p99_ms, max_ms });
        slices.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_reduced_once_and_keeps_its_percentiles() {
        let second = Duration::from_secs(1);
        let mut slices = Slices::new(second);
        for ms in 1..=100 {
            slices.counts(Action::Home, second / 2).offered += 1;
            slices.latency(second / 2, Duration::from_millis(ms));
        }
        slices.counts(Action::Prepare, second * 2).sent += 1;
        slices.reduce_before(second);
        assert!(slices.young.is_empty());
        let closed = slices.close();
        assert_eq!(closed.len(), 3);
        assert_eq!((closed[0].total().offered, closed[2].total()), (100, Counts::default()));
        let p99_ms = closed[0].p99_ms.unwrap();
        assert!((98.0..=100.5).contains(&p99_ms), "{p99_ms}");
        assert_eq!((closed[1].p99_ms, closed[2].counts[&Action::Prepare].sent), (None, 1));
    }
}
