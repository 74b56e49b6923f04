//! The breaker of one node as one caller sees it: a node that fails call after call is left alone for a while, then tried
//! with one call (linkerd2-proxy's unified breaker, 2026: a run of failures, or too small a share of successes).
//!
//! Overload refusals are not told to it, neither as success nor as failure: a node that sheds is doing its work, and
//! opening on it would send its load to the others and turn an overload into an outage. Calls that began before it opened
//! are not listened to: their results are old news. Whoever finds too many breakers open is to ignore them all
//! (`rpc::endpoints`): then the cause lies elsewhere.

use std::time::Duration;

use tokio::time::Instant;

use crate::ClientSettings;

/// Seconds over which the share of successes is taken, a bucket each.
const BUCKETS: usize = 10;

/// Whether calls go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        since: Instant,
        until: Instant,
    },
    /// One call is under way that decides.
    Trial {
        since: Instant,
    },
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many failures one after the other.
    OpenedByRun,
    /// So small a share of successes.
    OpenedByRate,
    /// The trial failed.
    Reopened,
    /// It works again.
    Closed,
}

impl Change {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenedByRun => "opened_by_run",
            Self::OpenedByRate => "opened_by_rate",
            Self::Reopened => "reopened",
            Self::Closed => "closed",
        }
    }
}

/// How one call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When it began.
    pub began: Instant,
    /// When it ended: now.
    pub now: Instant,
    /// Whether the node did its work.
    pub is_good: bool,
    /// Chance from 0 to 999, so that callers do not all come back at once.
    pub jitter: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    second: u64,
    good: u32,
    bad: u32,
}

/// The breaker of one node.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    run: u32,
    buckets: [Bucket; BUCKETS],
    born: Instant,
    /// How long it was open last, before jitter, and when it closed: one that opens again soon stays open longer.
    wait_ms: u32,
    closed: Instant,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { state: State::Closed, run: 0, buckets: Default::default(), born: now, wait_ms: 0, closed: now }
    }

    /// Whether calls go there as usual.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// 0 closed, 1 a trial is under way, 2 open: as in metrics.
    #[must_use]
    pub const fn level(&self) -> u64 {
        match self.state {
            State::Closed => 0,
            State::Trial { .. } => 1,
            State::Open { .. } => 2,
        }
    }

    /// Takes the place of the one trial, if it is free and its time has come. Whoever has it must tell the result, or
    /// [`Breaker::abandon`] it.
    pub fn take_trial(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, State::Open { until, .. } if until <= now);
        if is_due {
            self.state = State::Trial { since: now };
        }
        is_due
    }

    /// A call that began then has ended, and tells nothing. If it was the trial, the next call may be one.
    pub fn abandon(&mut self, began: Instant, now: Instant) {
        if self.state == (State::Trial { since: began }) {
            self.state = State::Open { since: began, until: now };
        }
    }

    /// A call has ended.
    pub fn record(&mut self, settings: &ClientSettings, ended: Ended) -> Option<Change> {
        match self.state {
            State::Closed => {
                self.count(ended);
                let change = self.verdict(settings, ended.now)?;
                self.open(settings, ended);
                Some(change)
            }
            State::Open { since, .. } | State::Trial { since } if ended.began < since => None,
            _ if ended.is_good => {
                *self = Self { wait_ms: self.wait_ms, closed: ended.now, ..Self::new(self.born) };
                Some(Change::Closed)
            }
            // Used all the same, because there was nobody else: no news.
            State::Open { .. } => None,
            State::Trial { .. } => {
                self.open(settings, ended);
                Some(Change::Reopened)
            }
        }
    }

    fn open(&mut self, settings: &ClientSettings, ended: Ended) {
        let longest_ms = settings.breaker_open_max_ms;
        let was_long_closed = self.is_closed()
            && ended.now.saturating_duration_since(self.closed) >= Duration::from_millis(longest_ms.into());
        let again_ms = if was_long_closed { 0 } else { self.wait_ms.saturating_mul(2) };
        self.wait_ms = again_ms.max(settings.breaker_open_ms).min(longest_ms);
        let jitter_ms = u64::from(self.wait_ms) * u64::from(ended.jitter.min(999)) / 4_000;
        let until = ended.now + Duration::from_millis(u64::from(self.wait_ms) + jitter_ms);
        self.state = State::Open { since: ended.now, until };
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_secs()
    }

    fn count(&mut self, ended: Ended) {
        self.run = if ended.is_good { 0 } else { self.run.saturating_add(1) };
        let second = self.second(ended.now);
        let place = usize::try_from(second).unwrap_or_default() % BUCKETS;
        let bucket = &mut self.buckets[place];
        if bucket.second != second {
            *bucket = Bucket { second, ..Bucket::default() };
        }
        let count = if ended.is_good { &mut bucket.good } else { &mut bucket.bad };
        *count = count.saturating_add(1);
    }

    fn verdict(&self, settings: &ClientSettings, now: Instant) -> Option<Change> {
        if self.run >= settings.breaker_failures {
            return Some(Change::OpenedByRun);
        }
        let oldest = (self.second(now) + 1).saturating_sub(BUCKETS as u64);
        let recent = self.buckets.iter().filter(|bucket| bucket.second >= oldest);
        let (good, bad) =
            recent.fold((0_u64, 0_u64), |(good, bad), one| (good + u64::from(one.good), bad + u64::from(one.bad)));
        let all = good + bad;
        let is_poor = all >= u64::from(settings.breaker_calls_min)
            && good * 100 < all * u64::from(settings.breaker_success_percent);
        is_poor.then_some(Change::OpenedByRate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        breaker: Breaker,
        now: Instant,
        settings: ClientSettings,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self { breaker: Breaker::new(now), now, settings: ClientSettings::default() }
        }

        fn wait(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }

        fn end(&mut self, is_good: bool) -> Option<Change> {
            self.breaker.record(&self.settings, Ended { began: self.now, now: self.now, is_good, jitter: 0 })
        }

        fn fail(&mut self, times: usize) -> Vec<Change> {
            (0..times).filter_map(|_| self.end(false)).collect()
        }

        /// How long until a trial may be made, in milliseconds.
        fn ms_until_trial(&mut self) -> u64 {
            let mut waited = 0;
            while !self.breaker.take_trial(self.now) {
                self.wait(1);
                waited += 1;
                assert!(waited < 60_000, "no trial within a minute");
            }
            waited
        }
    }

    #[test]
    fn a_run_of_failures_opens_it_and_a_success_between_begins_a_new_run() {
        let mut bench = Bench::new();
        assert_eq!(bench.fail(6), []);
        assert_eq!(bench.end(true), None);
        assert_eq!(bench.fail(6), []);
        assert!(bench.breaker.is_closed());
        assert_eq!(bench.fail(1), [Change::OpenedByRun]);
        assert!(!bench.breaker.is_closed());
    }

    #[test]
    fn a_share_of_failures_opens_it_but_not_of_a_few_calls_nor_of_long_ago() {
        let mut bench = Bench::new();
        // One in four: never seven in a row.
        let mut pattern = (0..).map(|n| n % 4 != 0);
        let opened = (1..=40).find(|_| bench.end(pattern.next().unwrap()).is_some());
        assert_eq!(opened, Some(20), "as soon as there are enough calls to tell");
        let mut bench = Bench::new();
        for call in 0..200 {
            assert_eq!(bench.end(call % 6 != 0), None, "83 % is enough");
        }
        let mut bench = Bench::new();
        for _ in 0..10 {
            assert_eq!((bench.fail(5), bench.end(true)), (Vec::new(), None), "6 calls in 11 s tell nothing");
            bench.wait(11_000);
        }
    }

    #[test]
    fn one_trial_decides_and_each_failed_one_doubles_the_wait() {
        let mut bench = Bench::new();
        bench.fail(7);
        for expected_ms in [1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            assert_eq!(bench.ms_until_trial(), expected_ms);
            assert!(!bench.breaker.take_trial(bench.now), "there is one only");
            assert_eq!(bench.end(false), Some(Change::Reopened));
        }
        bench.ms_until_trial();
        assert_eq!((bench.end(true), bench.breaker.is_closed()), (Some(Change::Closed), true));
        assert_eq!(bench.fail(6), [], "what was before is forgotten");
        // Closed for a moment only: it stays open as long as before. Closed for long: from the beginning.
        bench.fail(1);
        assert_eq!(bench.ms_until_trial(), 10_000);
        bench.end(true);
        bench.wait(10_000);
        bench.fail(7);
        assert_eq!(bench.ms_until_trial(), 1_000);
    }

    #[test]
    fn old_news_and_abandoned_trials_decide_nothing() {
        let mut bench = Bench::new();
        let before = bench.now;
        bench.wait(10);
        bench.fail(7);
        let late = Ended { began: before, now: bench.now, is_good: true, jitter: 0 };
        assert_eq!(bench.breaker.record(&bench.settings, late), None);
        assert_eq!(bench.fail(30), [], "used for want of others");
        bench.ms_until_trial();
        bench.breaker.abandon(before, bench.now);
        assert!(!bench.breaker.take_trial(bench.now), "the trial is still under way");
        bench.breaker.abandon(bench.now, bench.now);
        assert!(bench.breaker.take_trial(bench.now));
        assert_eq!(bench.breaker.record(&bench.settings, late), None);
        assert_eq!(bench.end(true), Some(Change::Closed));
    }

    #[test]
    fn a_success_while_it_is_open_closes_it() {
        let mut bench = Bench::new();
        bench.fail(7);
        assert_eq!(bench.end(true), Some(Change::Closed), "it was used for want of others, and works");
    }

    #[test]
    fn jitter_lengthens_by_a_quarter_at_most() {
        let mut bench = Bench::new();
        bench.fail(6);
        let ended = Ended { began: bench.now, now: bench.now, is_good: false, jitter: 999 };
        bench.breaker.record(&bench.settings, ended);
        assert!((1_240..=1_250).contains(&bench.ms_until_trial()));
    }
}
