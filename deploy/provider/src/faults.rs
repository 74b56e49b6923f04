//! Faults that an operator switches for all tokens, by `POST /admin/faults`.
//!
//! They apply before a request is looked at, so none of them has an effect on the ledger. The share of failures is
//! exact instead of random: 25 percent is every fourth charge, which makes a run repeatable.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

const PERCENT_MAX: u8 = 100;

/// The settings, as `GET /admin/faults` shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    black_hole: bool,
    fail_rate_percent: u8,
    rate_limit: bool,
}

/// Body of `POST /admin/faults`; what is absent stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultsChange {
    black_hole: Option<bool>,
    fail_rate_percent: Option<u8>,
    rate_limit: Option<bool>,
}

/// What a charge request meets.
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

    /// Applies a change whole or not at all.
    pub(crate) fn change(&self, change: &FaultsChange) -> Result<Faults, String> {
        if change.fail_rate_percent.is_some_and(|percent| percent > PERCENT_MAX) {
            return Err(format!("fail_rate_percent must be 0 to {PERCENT_MAX}"));
        }
        let mut state = self.lock();
        let before = state.faults;
        state.faults = Faults {
            black_hole: change.black_hole.unwrap_or(before.black_hole),
            fail_rate_percent: change.fail_rate_percent.unwrap_or(before.fail_rate_percent),
            rate_limit: change.rate_limit.unwrap_or(before.rate_limit),
        };
        if change.fail_rate_percent.is_some() {
            state.fail_debt_percent = 0;
        }
        Ok(state.faults)
    }

    /// The fault of the next charge request, if any.
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
        let bad = FaultsChange { black_hole: Some(true), fail_rate_percent: Some(101), rate_limit: None };
        assert!(switches.change(&bad).unwrap_err().contains("0 to 100"));
        assert_eq!(switches.get(), before);
    }
}
