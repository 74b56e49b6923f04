//! The retry budget: resends stay a tenth of calls, so that retries cannot turn a brown-out into an outage (O8).
//!
//! Every call that the callee dealt with deposits a tenth of a token, every resend withdraws one. Calls that fail deposit
//! nothing: when nobody answers, resends are load on the ruins and help no one (F5). A reserve, full at first, covers the
//! calls in flight to one node of two when it dies; a trickle lets a quiet client resend too.

use std::sync::{Mutex, PoisonError};

use overload::ClientSettings;
use tokio::time::Instant;

/// Thousandths of a resend.
const RESEND: u64 = 1_000;
/// Thousandths of a resend that one second pays for.
const REFILL_PER_S: u64 = 1_000;

/// A token bucket in thousandths of a resend.
#[derive(Debug)]
pub struct RetryBudget(Mutex<Tokens>);

#[derive(Debug)]
struct Tokens {
    /// Spent of the reserve: so it is full at first, and a change of its size is no loss.
    spent: u64,
    refilled: Instant,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(Tokens { spent: 0, refilled: Instant::now() }))
    }
}

impl RetryBudget {
    /// A call was answered.
    pub fn deposit(&self, settings: &ClientSettings) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.spent = tokens.spent.saturating_sub(u64::from(settings.retry_percent) * RESEND / 100);
    }

    /// Asks for a resend; false when the budget is spent.
    pub fn withdraw(&self, settings: &ClientSettings) -> bool {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let elapsed_ms = u64::try_from(now.duration_since(tokens.refilled).as_millis()).unwrap_or(u64::MAX);
        let refill = elapsed_ms.saturating_mul(REFILL_PER_S) / 1_000;
        if refill > 0 {
            *tokens = Tokens { spent: tokens.spent.saturating_sub(refill), refilled: now };
        }
        let is_paid = tokens.spent + RESEND <= u64::from(settings.retry_reserve) * RESEND;
        if is_paid {
            tokens.spent += RESEND;
        }
        is_paid
    }

    /// How many resends could be made at once.
    pub fn balance(&self, settings: &ClientSettings) -> u64 {
        let spent = self.0.lock().unwrap_or_else(PoisonError::into_inner).spent;
        (u64::from(settings.retry_reserve) * RESEND).saturating_sub(spent) / RESEND
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn resends_stay_a_tenth_of_answered_calls() {
        let (budget, settings) = (RetryBudget::default(), ClientSettings::default());
        let reserve = std::iter::from_fn(|| budget.withdraw(&settings).then_some(())).count();
        assert_eq!((reserve, budget.balance(&settings)), (64, 0));
        let resends = (0..1_000)
            .filter(|_| {
                budget.deposit(&settings);
                budget.withdraw(&settings)
            })
            .count();
        assert_eq!(resends, 100);
        tokio::time::advance(Duration::from_secs(5)).await;
        let refilled = std::iter::from_fn(|| budget.withdraw(&settings).then_some(())).count();
        assert_eq!(refilled, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_total_outage_resends_end() {
        let (budget, settings) = (RetryBudget::default(), ClientSettings::default());
        let mut resends = 0;
        for _call in 0..3_000 {
            resends += (0..2).take_while(|_| budget.withdraw(&settings)).count();
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!(resends <= 64 + 30, "{resends} resends in 30 s at 100 calls/s: the aim of F5 is 300");
    }
}
