//! Login throttling: failed passwords per address slow further tries of that address down (and of no other, and not of
//! the client's own address, which may be everyone's). Sharing: nothing. Each node counts for itself, so a family of N
//! nodes lets N times as many tries through, which is still few; a node's death forgets its counts.
//!
//! A try is counted as failed before its password is looked at, and taken back if it was right or never looked at;
//! otherwise a hundred tries at once would all pass before the first had failed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Failures that cost no waiting.
const FREE: u32 = 5;
/// Longest wait in milliseconds.
const WAIT_MAX_MS: i64 = 60_000;
/// An address without failures for so long starts afresh, in milliseconds.
const FORGET_MS: i64 = 15 * 60_000;
/// Most addresses remembered. Beyond it the one with the fewest failures goes, the oldest of these first: pushing a
/// slowed-down address out would take thousands of hashes on each of thousands of other addresses.
const ADDRESSES_MAX: usize = 10_000;

/// The failures of this node.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<BTreeMap<String, Failures>>);

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last_ms: i64,
}

impl Failures {
    /// When the next try is looked at: after 2^n seconds from the last failure, n counting from the last free one.
    fn wait_until_ms(self) -> i64 {
        let Some(over) = self.count.checked_sub(FREE) else { return i64::MIN };
        let wait_ms = 1_000_i64.checked_shl(over.min(16)).unwrap_or(WAIT_MAX_MS).min(WAIT_MAX_MS);
        self.last_ms.saturating_add(wait_ms)
    }
}

impl Throttle {
    /// Counts a try, or says in how many seconds the next one is looked at.
    pub(crate) fn admit(&self, email: &str, now_ms: i64) -> Result<(), u32> {
        let mut addresses = self.lock();
        let mut failures = addresses.get(email).copied().unwrap_or_default();
        if now_ms.saturating_sub(failures.last_ms) > FORGET_MS {
            failures = Failures::default();
        }
        let left_ms = failures.wait_until_ms().saturating_sub(now_ms);
        if left_ms > 0 {
            return Err(u32::try_from((left_ms + 999) / 1_000).unwrap_or(u32::MAX));
        }
        if addresses.len() >= ADDRESSES_MAX && !addresses.contains_key(email) {
            evict(&mut addresses);
        }
        let failures = Failures { count: failures.count.saturating_add(1), last_ms: now_ms };
        addresses.insert(email.to_owned(), failures);
        Ok(())
    }

    /// The password was right: the address starts afresh.
    pub(crate) fn succeeded(&self, email: &str) {
        self.lock().remove(email);
    }

    /// The password was not looked at: the try does not count.
    pub(crate) fn not_tried(&self, email: &str) {
        if let Some(failures) = self.lock().get_mut(email) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn evict(addresses: &mut BTreeMap<String, Failures>) {
    let least = addresses.iter().min_by_key(|(_, failures)| (failures.count, failures.last_ms));
    if let Some(email) = least.map(|(email, _)| email.clone()) {
        addresses.remove(&email);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &str = "ada@example.org";

    #[test]
    fn five_failures_are_free_and_then_waits_double_up_to_a_minute() {
        let throttle = Throttle::default();
        let mut now_ms = 1_000_000;
        (0..5).for_each(|_| assert_eq!(throttle.admit(EMAIL, now_ms), Ok(())));
        for wait_s in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(throttle.admit(EMAIL, now_ms), Err(wait_s));
            now_ms += i64::from(wait_s) * 1_000 - 1;
            assert_eq!(throttle.admit(EMAIL, now_ms), Err(1));
            now_ms += 1;
            assert_eq!(throttle.admit(EMAIL, now_ms), Ok(()));
        }
        assert_eq!(throttle.admit("bob@example.org", now_ms), Ok(()), "nobody else waits");
    }

    #[test]
    fn success_and_time_forget_and_what_was_not_looked_at_does_not_count() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| assert_eq!(throttle.admit(EMAIL, 0), Ok(())));
        throttle.succeeded(EMAIL);
        (0..5).for_each(|_| assert_eq!(throttle.admit(EMAIL, 0), Ok(())));
        assert!(throttle.admit(EMAIL, 0).is_err());
        assert_eq!(throttle.admit(EMAIL, FORGET_MS + 1), Ok(()));
        (0..20).for_each(|_| {
            throttle.not_tried(EMAIL);
            assert_eq!(throttle.admit(EMAIL, FORGET_MS + 1), Ok(()));
        });
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_the_slowed_down() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| assert_eq!(throttle.admit(EMAIL, 0), Ok(())));
        for number in 0..ADDRESSES_MAX + 100 {
            assert_eq!(throttle.admit(&format!("{number}@example.org"), 1), Ok(()));
        }
        assert_eq!(throttle.lock().len(), ADDRESSES_MAX);
        assert!(throttle.admit(EMAIL, 2).is_err());
    }
}
