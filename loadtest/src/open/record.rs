//! What became of the arrivals: counts and latencies by action, and by slice of time.
//!
//! Every arrival is in exactly one of good, late, shed, error, timeout and missed, so the parts add up to `offered`; a slice
//! holds what became of those who *came* in it, whenever their answer came. Latencies are from the intended moment, so a
//! stall counts for everybody who came during it and not only for the one who was being served. Beside them stands what
//! a naive tool would say, measured from the real sending.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    mix::Action,
    slices::{Slice, Slices},
};
use crate::measure::Latencies;

/// Kinds of bad answers kept apart for each action; odd answers must not fill the memory.
const KINDS_MAX: usize = 32;

/// What became of one arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The right answer, in time.
    Good,
    /// The right answer after the deadline, or a checkout that was accepted (202) and not finished.
    Late,
    /// Refused to protect the shop: 429, or 503 with `x-overload` or `Retry-After`.
    Shed,
    /// Another wrong answer, or a broken connection.
    Error,
    /// No answer within the timeout.
    Timeout,
}

/// Counts of arrivals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Arrivals by the plan.
    pub(crate) offered: u64,
    /// Requests that were sent for them, resends included.
    pub(crate) sent: u64,
    pub(crate) good: u64,
    pub(crate) late: u64,
    pub(crate) shed: u64,
    pub(crate) error: u64,
    pub(crate) timeout: u64,
    /// Never sent, because too many were in flight already: the generator's fault, or its bound is too low.
    pub(crate) missed: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: &Self) {
        self.offered += more.offered;
        self.sent += more.sent;
        self.good += more.good;
        self.late += more.late;
        self.shed += more.shed;
        self.error += more.error;
        self.timeout += more.timeout;
        self.missed += more.missed;
    }

    pub(crate) fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Good => &mut self.good,
            Fate::Late => &mut self.late,
            Fate::Shed => &mut self.shed,
            Fate::Error => &mut self.error,
            Fate::Timeout => &mut self.timeout,
        } += 1;
    }

    /// Arrivals whose fate is known.
    pub(crate) fn ended(&self) -> u64 {
        self.good + self.late + self.shed + self.error + self.timeout + self.missed
    }

    /// Errors and timeouts: what nobody wanted.
    pub(crate) fn failed(&self) -> u64 {
        self.error + self.timeout
    }

    /// Part of the arrivals whose fate is known, 0 to 1; nothing at all has no share.
    pub(crate) fn share(&self, part: u64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of one run, far below 2^53")]
        (self.ended() > 0).then(|| part as f64 / self.ended() as f64)
    }
}

/// Everything about one action.
#[derive(Debug, Default, Clone)]
pub(crate) struct Record {
    pub(crate) counts: Counts,
    /// Requests sent again by impatient customers; part of `sent`.
    pub(crate) resent: u64,
    /// Of good, late and timed-out requests, from the intended moment. A timeout counts as its waiting time.
    pub(crate) latency: Latencies,
    /// The same requests from the real sending: what a tool says that does not know when it should have sent.
    pub(crate) naive: Latencies,
    /// Of shed requests, from the real sending.
    pub(crate) rejection: Latencies,
    /// What the shop said, besides plain good answers: `503 busy`, `out-of-stock`, `connection lost`.
    pub(crate) kinds: BTreeMap<String, u64>,
}

impl Record {
    fn kind(&mut self, kind: &str) {
        let known = self.kinds.len() < KINDS_MAX || self.kinds.contains_key(kind);
        let kind = if known { kind } else { "other" };
        match self.kinds.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(kind.to_owned(), 1)),
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.counts.add(&more.counts);
        self.resent += more.resent;
        self.latency.add(&more.latency);
        self.naive.add(&more.naive);
        self.rejection.add(&more.rejection);
        for (kind, count) in &more.kinds {
            *self.kinds.entry(kind.clone()).or_default() += count;
        }
    }
}

/// How one request, or the checkout that it was for, ended.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) fate: Fate,
    /// From the intended moment to the end.
    pub(crate) took: Duration,
    /// From the real sending to the end.
    pub(crate) took_naive: Duration,
    pub(crate) kind: Option<String>,
}

/// The book of one run. One lock around it: everything runs on one thread.
#[derive(Debug)]
pub(crate) struct Book {
    records: [Record; Action::COUNT],
    pub(crate) slices: Slices,
    /// From the intended moment to the sending of an arrival's first request.
    pub(crate) lag: Latencies,
    /// What was counted since the live view looked last.
    window: Window,
}

/// What happened in the last moments, by the clock and not by when its customers came.
#[derive(Debug, Default, Clone)]
pub(crate) struct Window {
    pub(crate) counts: Counts,
    pub(crate) latency: Latencies,
}

impl Book {
    pub(crate) fn new(slice: Duration) -> Self {
        Self {
            records: Default::default(),
            slices: Slices::new(slice),
            lag: Latencies::default(),
            window: Window::default(),
        }
    }

    pub(crate) fn offered(&mut self, action: Action, came: Duration) {
        self.each(action, came, |counts| counts.offered += 1);
    }

    pub(crate) fn missed(&mut self, action: Action, came: Duration) {
        self.each(action, came, |counts| counts.missed += 1);
    }

    pub(crate) fn sent(&mut self, action: Action, came: Duration, again: bool) {
        self.records[action as usize].resent += u64::from(again);
        self.each(action, came, |counts| counts.sent += 1);
    }

    pub(crate) fn ended(&mut self, action: Action, came: Duration, ending: &Ending) {
        self.each(action, came, |counts| counts.count(ending.fate));
        let record = &mut self.records[action as usize];
        if let Some(kind) = &ending.kind {
            record.kind(kind);
        }
        match ending.fate {
            Fate::Good | Fate::Late | Fate::Timeout => {
                record.latency.record(ending.took);
                record.naive.record(ending.took_naive);
                if action != Action::Prepare {
                    self.window.latency.record(ending.took);
                    self.slices.latency(came, ending.took);
                }
            }
            Fate::Shed => record.rejection.record(ending.took_naive),
            Fate::Error => {}
        }
    }

    fn each(&mut self, action: Action, came: Duration, change: impl Fn(&mut Counts)) {
        change(&mut self.records[action as usize].counts);
        change(self.slices.counts(action, came));
        if action != Action::Prepare {
            change(&mut self.window.counts);
        }
    }

    /// All arrivals so far.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for action in Action::ALL.into_iter().filter(|action| *action != Action::Prepare) {
            total.add(&self.records[action as usize].counts);
        }
        total
    }

    /// What happened since the last call.
    pub(crate) fn take_window(&mut self) -> Window {
        std::mem::take(&mut self.window)
    }

    /// The records by action, those that were ever used, and the slices.
    pub(crate) fn close(self) -> (BTreeMap<Action, Record>, Vec<Slice>, Latencies) {
        let used = |record: &Record| record.counts != Counts::default();
        let records = Action::ALL.into_iter().zip(self.records).filter(|(_, record)| used(record)).collect();
        (records, self.slices.close(), self.lag)
    }
}
