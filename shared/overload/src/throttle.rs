//! Adaptive throttling (Google SRE book, ch. 21): a caller that is often refused for overload refuses some calls itself,
//! with probability `max(0, (calls - K x accepted) / (calls + 1))`, because a refusal costs the callee too. With K = 2 the
//! callee still sees twice what it accepts, and so the caller sees it recover.
//!
//! Three things are ours. Some calls a second always go (Envoy's admission control has such a floor too): a small caller
//! learns nothing from its own silence. What was refused is forgotten once half a second brought answers and not one
//! refusal: with the window alone a short spike would be paid for until it has left the window. And important calls are
//! counted, but not throttled; that is the user's decision (`rpc::regulation`).

use std::time::Duration;

use tokio::time::Instant;

use crate::ClientSettings;

/// Seconds that are looked back on, a bucket each.
const BUCKETS: usize = 30;
/// This long without a refusal, and this many answers meanwhile: the overload is over.
const QUIET: Duration = Duration::from_millis(500);
const QUIET_ANSWERS: u32 = 5;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    second: u64,
    calls: u64,
    accepted: u64,
}

/// The throttle of one caller before one family.
#[derive(Clone, Debug)]
pub struct Throttle {
    born: Instant,
    buckets: [Bucket; BUCKETS],
    let_through: Instant,
    refused: Option<Instant>,
    answers_since: u32,
}

impl Throttle {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { born: now, buckets: Default::default(), let_through: now, refused: None, answers_since: 0 }
    }

    /// In how many of a thousand cases a call is to be refused here.
    #[must_use]
    pub fn permille(&self, settings: &ClientSettings, now: Instant) -> u64 {
        let rest = Duration::from_secs(1) / settings.throttle_floor.max(1);
        if self.refused.is_none() || now.saturating_duration_since(self.let_through) >= rest {
            return 0;
        }
        let oldest = (self.second(now) + 1).saturating_sub(BUCKETS as u64);
        let recent = self.buckets.iter().filter(|bucket| bucket.second >= oldest);
        let (calls, accepted) =
            recent.fold((0, 0), |(calls, accepted), one| (calls + one.calls, accepted + one.accepted));
        // A few refusals are no trend yet.
        let bearable = accepted * u64::from(settings.throttle_k_percent) / 100 + u64::from(settings.throttle_floor);
        calls.saturating_sub(bearable) * 1_000 / (calls + 1)
    }

    /// A call goes. It counts when its result is known, and not at all if nobody waits for that.
    pub fn let_through(&mut self, now: Instant) {
        self.let_through = now;
    }

    /// A call was refused here.
    pub fn throttled(&mut self, now: Instant) {
        self.bucket(now).calls += 1;
    }

    /// The callee answered, or at least did not refuse for overload.
    pub fn accepted(&mut self, now: Instant) {
        let bucket = self.bucket(now);
        bucket.calls += 1;
        bucket.accepted += 1;
        self.answers_since = self.answers_since.saturating_add(1);
        let is_over = self.refused.is_some_and(|refused| now.saturating_duration_since(refused) >= QUIET);
        if is_over && self.answers_since >= QUIET_ANSWERS {
            *self = Self::new(now);
        }
    }

    /// The callee refused for overload.
    pub fn refused(&mut self, now: Instant) {
        self.bucket(now).calls += 1;
        (self.refused, self.answers_since) = (Some(now), 0);
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_secs()
    }

    fn bucket(&mut self, now: Instant) -> &mut Bucket {
        let second = self.second(now);
        let bucket = &mut self.buckets[place(second)];
        if bucket.second != second {
            *bucket = Bucket { second, ..Bucket::default() };
        }
        bucket
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second).unwrap_or_default() % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A callee that accepts so many calls a second, and a caller that makes so many, evenly; what came of one second.
    struct Bench {
        throttle: Throttle,
        now: Instant,
        settings: ClientSettings,
        dice: u64,
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Second {
        accepted: u64,
        refused: u64,
        throttled: u64,
    }

    impl Bench {
        fn new() -> Self {
            let now = Instant::now();
            Self { throttle: Throttle::new(now), now, settings: ClientSettings::default(), dice: 1 }
        }

        fn second(&mut self, calls: u64, capacity: u64) -> Second {
            let mut second = Second::default();
            let mut allowance = 0;
            for _ in 0..calls {
                self.now += Duration::from_micros(1_000_000 / calls);
                allowance = (allowance + capacity).min(calls * 10);
                // A linear congruential generator will do.
                self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let is_let_through = (self.dice >> 33) % 1_000 >= self.throttle.permille(&self.settings, self.now);
                if !is_let_through {
                    self.throttle.throttled(self.now);
                    second.throttled += 1;
                    continue;
                }
                self.throttle.let_through(self.now);
                if allowance >= calls {
                    allowance -= calls;
                    self.throttle.accepted(self.now);
                    second.accepted += 1;
                } else {
                    self.throttle.refused(self.now);
                    second.refused += 1;
                }
            }
            second
        }
    }

    #[test]
    fn at_ten_times_the_capacity_the_callee_sees_about_twice_what_it_takes() {
        let mut bench = Bench::new();
        assert_eq!(bench.second(100, 100), Second { accepted: 100, refused: 0, throttled: 0 });
        for _ in 0..30 {
            bench.second(1_000, 100);
        }
        let seconds: Vec<_> = (0..10).map(|_| bench.second(1_000, 100)).collect();
        let (accepted, refused) =
            seconds.iter().fold((0, 0), |(accepted, refused), one| (accepted + one.accepted, refused + one.refused));
        assert!(accepted >= 950, "all that it can take: {accepted} of 1000");
        assert!((700..=1_300).contains(&refused), "{refused} refusals beside {accepted} accepted");
    }

    #[test]
    fn a_spike_is_forgotten_within_a_second() {
        let mut bench = Bench::new();
        for _ in 0..10 {
            bench.second(500, 100);
        }
        assert!(bench.second(500, 100).throttled > 200);
        bench.second(70, 100);
        assert_eq!(bench.second(70, 100), Second { accepted: 70, refused: 0, throttled: 0 });
    }

    #[test]
    fn a_few_calls_a_second_always_go_and_a_little_refusing_throttles_nothing() {
        let mut bench = Bench::new();
        for _ in 0..40 {
            bench.second(200, 0);
        }
        let second = bench.second(200, 0);
        let floor = u64::from(bench.settings.throttle_floor);
        assert!((floor..floor + 5).contains(&second.refused), "{second:?}");
        let mut bench = Bench::new();
        let throttled: u64 = (0..40).map(|_| bench.second(150, 100).throttled).sum();
        assert_eq!(throttled, 0, "up to K times what is accepted, it is the callee's business");
    }
}
