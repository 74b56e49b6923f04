//! What a node's calls to others go by.

use serde::{Deserialize, Serialize};

/// What a node's calls to others go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// Resends in percent of calls that were answered.
    pub retry_percent: u32,
    /// Most resends that are saved for bad times; as many as there may be calls in flight to a node when it dies.
    pub retry_reserve: u32,
    /// A family that accepts less than calls * 100 / this is spared some of them.
    pub throttle_k_percent: u32,
    /// So many calls a second, evenly, are never throttled.
    pub throttle_floor: u32,
    /// Milliseconds without a sign of life of a family, after which calls to it end at once.
    pub gate_after_ms: u32,
    /// Milliseconds between trials then.
    pub gate_trial_ms: u32,
    /// Failures in a row that open a node's breaker.
    pub breaker_failures: u32,
    /// Percent of successes below which it opens.
    pub breaker_success_percent: u32,
    /// Fewest calls in ten seconds of which such a share is taken.
    pub breaker_calls_min: u32,
    /// Milliseconds that it is open for at first, doubling with each failed trial.
    pub breaker_open_ms: u32,
    /// Most milliseconds.
    pub breaker_open_max_ms: u32,
    /// How many usual calls a failed one counts for when the cheaper of two nodes is chosen.
    pub cost_of_failure: u32,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            retry_percent: 10,
            retry_reserve: 64,
            throttle_k_percent: 200,
            throttle_floor: 10,
            gate_after_ms: 1_000,
            gate_trial_ms: 250,
            breaker_failures: 7,
            breaker_success_percent: 80,
            breaker_calls_min: 20,
            breaker_open_ms: 1_000,
            breaker_open_max_ms: 10_000,
            cost_of_failure: 50,
        }
    }
}

impl ClientSettings {
    /// Each with its name, its least and its most.
    pub(super) const fn bounded(&self) -> [(&'static str, u32, u32, u32); 12] {
        [
            ("retry_percent", self.retry_percent, 0, 100),
            ("retry_reserve", self.retry_reserve, 0, 10_000),
            ("throttle_k_percent", self.throttle_k_percent, 100, 1_000),
            ("throttle_floor", self.throttle_floor, 1, 1_000),
            ("gate_after_ms", self.gate_after_ms, 100, 60_000),
            ("gate_trial_ms", self.gate_trial_ms, 10, 10_000),
            ("breaker_failures", self.breaker_failures, 1, 1_000),
            ("breaker_success_percent", self.breaker_success_percent, 0, 100),
            ("breaker_calls_min", self.breaker_calls_min, 1, 10_000),
            ("breaker_open_ms", self.breaker_open_ms, 10, 60_000),
            ("breaker_open_max_ms", self.breaker_open_max_ms, 10, 600_000),
            ("cost_of_failure", self.cost_of_failure, 1, 10_000),
        ]
    }
}
