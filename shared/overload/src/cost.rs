//! What a call to a node costs its caller, for choosing the cheaper of two: how slow the node was of late, times how much
//! is under way to it. A failed call counts as a very slow one, or a node that fails at once would look quick and draw
//! the calls (after Finagle's and linkerd's PeakEWMA, and linkerd2-proxy's load biaser).
//!
//! Two things differ from PeakEWMA, both because our callers mix calls of one millisecond with calls of seconds, and our
//! callees refuse what they cannot take. Slowness is a ratio to what the same operation usually takes, wherever it ran,
//! or a node would look slow for having served a checkout. And it is a mean and not the peak: next to a callee with a
//! short queue, one hiccup would send everything to the other, which would have to refuse what this one has places for.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::ClientSettings;

/// Of what a call usually takes, this much is the caller's own; so ratios of very short times tell little.
const OWN: Duration = Duration::from_millis(1);
/// The mean follows the samples of about this time; one alone never counts more than this.
const MEMORY: Duration = Duration::from_secs(1);
const WEIGHT_MAX: f64 = 0.3;
/// What is usual changes slowly.
const USUAL_MEMORY: Duration = Duration::from_secs(10);
const USUAL_WEIGHT_MAX: f64 = 0.1;
/// A node not heard of for [`MEMORY`] is thought well of again, by this time constant: so it is asked again. Each time costs
/// somebody a slow answer; one of ten times the usual slowness is asked about every ten seconds.
const FORGIVEN: Duration = Duration::from_secs(10);
/// A refusal for overload counts as this slow. Refusing is quick and leaves little under way, so without this a node with
/// less room than others would draw the calls that they have room for.
const REFUSED: f64 = 5.0;
/// A quick answer is not praised without end.
const SLOWNESS_MIN: f64 = 0.2;

/// How much of a new sample counts, after this long.
fn weight(since: Duration, memory: Duration, most: f64) -> f64 {
    (1.0 - (-since.as_secs_f64() / memory.as_secs_f64()).exp()).min(most)
}

/// What the operations of one family usually take.
#[derive(Clone, Debug, Default)]
pub struct Usual(BTreeMap<&'static str, (f64, Instant)>);

impl Usual {
    /// How many times the usual this was; and learns it, if it was a success.
    pub fn slowness(&mut self, operation: &'static str, took: Duration, is_good: bool, now: Instant) -> f64 {
        let took_s = (took + OWN).as_secs_f64();
        let Some((usual_s, learnt)) = self.0.get_mut(operation) else {
            if is_good {
                self.0.insert(operation, (took_s, now));
            }
            return 1.0;
        };
        let slowness = took_s / *usual_s;
        if is_good {
            let weight = weight(now.saturating_duration_since(*learnt), USUAL_MEMORY, USUAL_WEIGHT_MAX);
            *usual_s += weight * (took_s - *usual_s);
            *learnt = now;
        }
        slowness
    }
}

/// How slow one node was of late; 1 is as usual.
#[derive(Clone, Debug)]
pub struct Slowness {
    mean: f64,
    heard: Instant,
}

impl Slowness {
    /// As usual, until it shows otherwise.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { mean: 1.0, heard: now }
    }

    /// As it is thought of now.
    #[must_use]
    pub fn now(&self, now: Instant) -> f64 {
        let silent = now.saturating_duration_since(self.heard).saturating_sub(MEMORY);
        1.0 + (self.mean - 1.0) * (-silent.as_secs_f64() / FORGIVEN.as_secs_f64()).exp()
    }

    /// A call took so many times the usual.
    pub fn heard(&mut self, settings: &ClientSettings, slowness: f64, now: Instant) {
        let most = f64::from(settings.cost_of_failure).max(1.0);
        let weight = weight(now.saturating_duration_since(self.heard), MEMORY, WEIGHT_MAX);
        let (slowness, forgiven) = (slowness.clamp(SLOWNESS_MIN, most), self.now(now));
        // Who was forgiven and is found as slow as before is known again at once, or it would be asked more and more often.
        let known = self.mean.min(slowness);
        *self = Self { mean: (forgiven + weight * (slowness - forgiven)).max(known), heard: now };
    }

    /// A call was refused for overload.
    pub fn refused(&mut self, settings: &ClientSettings, now: Instant) {
        self.heard(settings, REFUSED, now);
    }

    /// A call failed.
    pub fn failed(&mut self, settings: &ClientSettings, now: Instant) {
        self.heard(settings, f64::from(settings.cost_of_failure), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_long_operation_is_not_a_slow_node() {
        let (mut usual, mut now) = (Usual::default(), Instant::now());
        let mut of = |operation, took: Duration| {
            now += 10 * MS;
            usual.slowness(operation, took, true, now)
        };
        assert_eq!((of("view", 9 * MS), of("checkout", 999 * MS)), (1.0, 1.0), "nothing is usual yet");
        assert!((of("checkout", 999 * MS) - 1.0).abs() < 0.01);
        assert!((of("view", 99 * MS) - 10.0).abs() < 0.1);
        assert!(of("view", 9 * MS) > 0.9, "one slow call does not change what is usual");
        for _ in 0..6_000 {
            of("view", 99 * MS);
        }
        assert!((of("view", 99 * MS) - 1.0).abs() < 0.1, "a minute of slow calls does");
    }

    #[test]
    fn what_fails_tells_nothing_of_what_is_usual() {
        let (mut usual, now) = (Usual::default(), Instant::now());
        assert_eq!(usual.slowness("view", MS, false, now), 1.0);
        usual.slowness("view", 9 * MS, true, now);
        for n in 1..1_000 {
            usual.slowness("view", Duration::ZERO, false, now + n * MS);
        }
        assert!((usual.slowness("view", 9 * MS, true, now + 1_001 * MS) - 1.0).abs() < 0.01);
    }

    struct Bench(Slowness, Instant, ClientSettings);

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self(Slowness::new(now), now, ClientSettings::default())
        }

        /// So many calls, 10 ms apart, that took so many times the usual.
        fn calls(&mut self, count: u32, slowness: f64) -> f64 {
            for _ in 0..count {
                self.1 += 10 * MS;
                self.0.heard(&self.2, slowness, self.1);
            }
            self.0.now(self.1)
        }
    }

    #[test]
    fn a_slow_node_is_known_within_a_second_or_two_and_one_hiccup_changes_little() {
        let mut bench = Bench::new();
        assert!(bench.calls(1, 30.0) < 1.5);
        assert!(bench.calls(100, 10.0) > 6.0);
        assert!(bench.calls(300, 10.0) > 9.0);
        assert!(bench.calls(300, 1.0) < 1.6);
        bench.1 += Duration::from_secs(60);
        assert!(bench.calls(1, 30.0) < 10.0, "nor after a silence");
    }

    #[test]
    fn a_slow_node_that_was_forgiven_is_known_again_after_one_call_and_a_well_one_is_not_reproached() {
        let mut bench = Bench::new();
        assert!(bench.calls(300, 10.0) > 9.0);
        bench.1 += Duration::from_secs(20);
        assert!(bench.0.now(bench.1) < 2.5);
        let mut recovered = Bench(bench.0.clone(), bench.1, bench.2.clone());
        assert!(bench.calls(1, 10.0) > 9.0);
        assert!(recovered.calls(1, 1.0) < 2.5);
        assert!(recovered.calls(1, 4.0) < 4.0, "no slower than it was found");
    }

    #[test]
    fn a_node_that_fails_at_once_looks_slow_and_is_forgiven_in_silence() {
        let mut bench = Bench::new();
        for _ in 0..7 {
            bench.1 += 10 * MS;
            let now = bench.1;
            bench.0.failed(&bench.2, now);
        }
        assert!(bench.0.now(bench.1) > 4.0, "{}", bench.0.now(bench.1));
        for _ in 0..500 {
            bench.1 += 10 * MS;
            let now = bench.1;
            bench.0.failed(&bench.2, now);
        }
        assert!(bench.0.now(bench.1) > 45.0, "{}", bench.0.now(bench.1));
        assert!(bench.0.now(bench.1 + Duration::from_secs(30)) < 5.0);
        assert!(bench.0.now(bench.1 + Duration::from_secs(60)) < 1.2);
    }
}
