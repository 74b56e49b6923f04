//! The retry budget: resends stay a tenth of calls, so that retries cannot turn a brown-out into an outage (O8).
//!
//! Every call deposits a tenth of a token, every resend withdraws one. A small reserve, refilled slowly, lets a quiet
//! client resend too; a burst beyond it means that something is down, and more load would not help.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Thousandths of a resend that one call pays for.
const DEPOSIT: u64 = 100;
/// Thousandths of a resend that one second pays for.
const REFILL_PER_S: u64 = 5_000;
/// Most saved resends, in thousandths. Covers the calls in flight to one node of two when it dies.
const CAP: u64 = 64_000;
const RESEND: u64 = 1_000;

/// A token bucket in thousandths of a resend.
#[derive(Debug)]
pub struct RetryBudget(Mutex<(u64, Instant)>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new((CAP, Instant::now())))
    }
}

impl RetryBudget {
    /// A first attempt was made.
    pub fn deposit(&self) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 = (guard.0 + DEPOSIT).min(CAP);
    }

    /// Asks for a resend; false when the budget is spent.
    pub fn withdraw(&self) -> bool {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refill =
            u64::try_from(now.duration_since(guard.1).as_millis()).unwrap_or(CAP).saturating_mul(REFILL_PER_S) / 1_000;
        if refill > 0 {
            *guard = ((guard.0 + refill).min(CAP), now);
        }
        let paid = guard.0 >= RESEND;
        if paid {
            guard.0 -= RESEND;
        }
        paid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn resends_stay_a_tenth_of_calls() {
        let budget = RetryBudget::default();
        while budget.withdraw() {}
        let resends = (0..1_000)
            .filter(|_| {
                budget.deposit();
                budget.withdraw()
            })
            .count();
        assert_eq!(resends, 100);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let refilled = std::iter::from_fn(|| budget.withdraw().then_some(())).count();
        assert_eq!(refilled, 5);
    }
}
