//! Everything an operator switches by `POST /admin/faults`: faults of all requests, promises that are not kept, and
//! how webhooks are sent. In memory: a new start keeps every promise again.
//!
//! The faults of requests apply before a request is looked at, so none of them has an effect on the ledger. The share
//! of failures is exact instead of random: 25 percent is every fourth request, which makes a run repeatable.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::book::Rules;

const PERCENT_MAX: u8 = 100;
/// Most times that each event is sent.
const COPIES_MAX: u8 = 5;
/// Longest time that every request may be made to take, in milliseconds: well within the default handling time.
const LATENCY_MAX_MS: u64 = 5_000;
/// Longest window of keys, in milliseconds: a year.
const KEY_WINDOW_MAX_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// The settings, as `GET /admin/faults` shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    black_hole: bool,
    fail_rate_percent: u8,
    rate_limit: bool,
    /// How long every request takes at least, in milliseconds.
    latency_ms: u64,
    #[serde(flatten)]
    rules: Rules,
    #[serde(flatten)]
    delivery: Delivery,
}

/// How webhooks are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Delivery {
    /// Each event is sent that many times, 1 to `COPIES_MAX`.
    #[serde(rename = "webhook_copies")]
    pub(crate) copies: u8,
    /// Events are held back for a while and sent in random order.
    #[serde(rename = "webhook_shuffle")]
    pub(crate) shuffle: bool,
    /// Nothing is sent until this is switched off.
    #[serde(rename = "webhook_hold")]
    pub(crate) hold: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { copies: 1, shuffle: false, hold: false }
    }
}

/// Body of `POST /admin/faults`; what is absent stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultsChange {
    black_hole: Option<bool>,
    fail_rate_percent: Option<u8>,
    rate_limit: Option<bool>,
    latency_ms: Option<u64>,
    /// Null is a value here: keys are remembered for ever.
    #[serde(default, deserialize_with = "present")]
    key_window_ms: Option<Option<i64>>,
    permanent_reference: Option<bool>,
    enforce_not_after: Option<bool>,
    webhook_copies: Option<u8>,
    webhook_shuffle: Option<bool>,
    webhook_hold: Option<bool>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    BlackHole,
    RateLimit,
    Fail,
}

#[derive(Debug, Default)]
pub(crate) struct FaultSwitches {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    /// Percents gathered since the last failure; a failure is due at 100.
    fail_debt_percent: u8,
}

impl FaultSwitches {
    pub(crate) fn get(&self) -> Faults {
        self.lock().faults
    }

    pub(crate) fn rules(&self) -> Rules {
        self.lock().faults.rules
    }

    pub(crate) fn delivery(&self) -> Delivery {
        self.lock().faults.delivery
    }

    /// How long every request takes at least.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.lock().faults.latency_ms)
    }

    /// Applies a change whole or not at all.
    pub(crate) fn change(&self, change: &FaultsChange) -> Result<Faults, String> {
        if change.fail_rate_percent.is_some_and(|percent| percent > PERCENT_MAX) {
            return Err(format!("fail_rate_percent must be 0 to {PERCENT_MAX}"));
        }
        if change.latency_ms.is_some_and(|latency_ms| latency_ms > LATENCY_MAX_MS) {
            return Err(format!("latency_ms must be 0 to {LATENCY_MAX_MS} milliseconds"));
        }
        if change.webhook_copies.is_some_and(|copies| copies == 0 || copies > COPIES_MAX) {
            return Err(format!("webhook_copies must be 1 to {COPIES_MAX}"));
        }
        if change.key_window_ms.flatten().is_some_and(|window_ms| !(1..=KEY_WINDOW_MAX_MS).contains(&window_ms)) {
            return Err(format!("key_window_ms must be 1 to {KEY_WINDOW_MAX_MS} milliseconds, or null for ever"));
        }
        let mut state = self.lock();
        let before = state.faults;
        state.faults = Faults {
            black_hole: change.black_hole.unwrap_or(before.black_hole),
            fail_rate_percent: change.fail_rate_percent.unwrap_or(before.fail_rate_percent),
            rate_limit: change.rate_limit.unwrap_or(before.rate_limit),
            latency_ms: change.latency_ms.unwrap_or(before.latency_ms),
            rules: Rules {
                key_window_ms: change.key_window_ms.unwrap_or(before.rules.key_window_ms),
                permanent_reference: change.permanent_reference.unwrap_or(before.rules.permanent_reference),
                enforce_not_after: change.enforce_not_after.unwrap_or(before.rules.enforce_not_after),
            },
            delivery: Delivery {
                copies: change.webhook_copies.unwrap_or(before.delivery.copies),
                shuffle: change.webhook_shuffle.unwrap_or(before.delivery.shuffle),
                hold: change.webhook_hold.unwrap_or(before.delivery.hold),
            },
        };
        if change.fail_rate_percent.is_some() {
            state.fail_debt_percent = 0;
        }
        Ok(state.faults)
    }

    /// The fault of the next request, if any.
    pub(crate) fn next(&self) -> Option<Fault> {
        let mut state = self.lock();
        if state.faults.black_hole {
            return Some(Fault::BlackHole);
        }
        if state.faults.rate_limit {
            return Some(Fault::RateLimit);
        }
        state.fail_debt_percent += state.faults.fail_rate_percent;
        if state.fail_debt_percent < PERCENT_MAX {
            return None;
        }
        state.fail_debt_percent -= PERCENT_MAX;
        Some(Fault::Fail)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing above leaves the state half changed, so a panicked holder does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultSwitches, FaultsChange};

    #[test]
    fn the_share_of_failures_is_exact() {
        for percent in [0, 1, 30, 50, 99, 100] {
            let switches = FaultSwitches::default();
            switches.change(&FaultsChange { fail_rate_percent: Some(percent), ..FaultsChange::default() }).unwrap();
            let failures = (0..200).filter(|_| switches.next() == Some(Fault::Fail)).count();
            assert_eq!(failures, 2 * usize::from(percent));
        }
    }

    #[test]
    fn a_bad_change_changes_nothing() {
        let switches = FaultSwitches::default();
        let before = switches.get();
        let bad = [
            (r#"{"black_hole":true,"fail_rate_percent":101}"#, "0 to 100"),
            (r#"{"black_hole":true,"latency_ms":5001}"#, "0 to 5000 milliseconds"),
            (r#"{"black_hole":true,"webhook_copies":0}"#, "1 to 5"),
            (r#"{"black_hole":true,"webhook_copies":6}"#, "1 to 5"),
            (r#"{"black_hole":true,"key_window_ms":0}"#, "1 to 31536000000 milliseconds"),
            (r#"{"black_hole":true,"key_window_ms":31536000001}"#, "1 to 31536000000 milliseconds"),
        ];
        for (change, expected) in bad {
            let change: FaultsChange = serde_json::from_str(change).unwrap();
            assert!(switches.change(&change).unwrap_err().contains(expected), "{change:?}");
            assert_eq!(switches.get(), before);
        }
    }
}
