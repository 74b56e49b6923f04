//! The fail-fast gate: when nobody in a family has shown a sign of life for a while, calls end at once instead of each
//! finding out for itself, and callers keep their time for something better (linkerd2-proxy's fail-fast, 3 s outbound).
//!
//! A sign of life is a node that says it is ready, or any answer, a refusal too. While the gate is shut, one call now and
//! then goes through as a trial, so that the end of an outage is seen even where probes are not.

use std::time::Duration;

use tokio::time::Instant;

use crate::ClientSettings;

/// The gate before one family.
#[derive(Clone, Debug)]
pub struct Gate {
    alive: Instant,
    trial: Instant,
}

impl Gate {
    /// An open gate: nobody was asked yet.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { alive: now, trial: now }
    }

    /// Somebody in the family lives.
    pub fn alive(&mut self, now: Instant) {
        self.alive = now;
    }

    /// Whether nobody has been heard of for too long.
    #[must_use]
    pub fn is_shut(&self, settings: &ClientSettings, now: Instant) -> bool {
        now.saturating_duration_since(self.alive) >= Duration::from_millis(settings.gate_after_ms.into())
    }

    /// Whether a call may try.
    pub fn pass(&mut self, settings: &ClientSettings, now: Instant) -> bool {
        if !self.is_shut(settings, now) {
            return true;
        }
        let is_due = now.saturating_duration_since(self.trial) >= Duration::from_millis(settings.gate_trial_ms.into());
        if is_due {
            self.trial = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls every millisecond from here to there, and how many pass.
    fn passed(gate: &mut Gate, start: Instant, ms: std::ops::Range<u64>) -> usize {
        let settings = ClientSettings::default();
        ms.filter(|ms| gate.pass(&settings, start + Duration::from_millis(*ms))).count()
    }

    #[test]
    fn it_shuts_after_a_silent_second_lets_trials_through_and_opens_at_the_first_sign_of_life() {
        let start = Instant::now();
        let mut gate = Gate::new(start);
        assert_eq!(passed(&mut gate, start, 0..1_000), 1_000, "a second of silence is borne");
        assert_eq!(passed(&mut gate, start, 1_000..3_000), 8, "then one trial in 250 ms");
        gate.alive(start + Duration::from_secs(3));
        assert_eq!(passed(&mut gate, start, 3_000..4_000), 1_000);
        assert!(gate.is_shut(&ClientSettings::default(), start + Duration::from_secs(4)));
    }

    #[test]
    fn signs_of_life_keep_it_open() {
        let start = Instant::now();
        let mut gate = Gate::new(start);
        for s in 0..10 {
            gate.alive(start + Duration::from_secs(s));
            assert_eq!(passed(&mut gate, start, s * 1_000..(s + 1) * 1_000), 1_000);
        }
    }
}
