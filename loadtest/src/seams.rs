//! The two things a run takes from outside itself: fresh ids and the seed of its dice.
//!
//! The workspace's seams live in a crate this one must not use, so the bans on ambient randomness are lifted here and
//! nowhere else. Everything random about a customer comes from the printed seed; the keys alone must differ between
//! runs, because the shop remembers keys for weeks.

use rand::{SeedableRng, rngs::StdRng};
use uuid::Uuid;

/// A key no run has used before: 36 characters, valid as a bare `Idempotency-Key`.
#[expect(clippy::disallowed_methods, reason = "this tool is its own adapter: it may not use the workspace's seams")]
pub(crate) fn fresh_key() -> String {
    Uuid::now_v7().to_string()
}

/// A seed for runs that were given none.
#[expect(clippy::disallowed_methods, reason = "this tool is its own adapter: it may not use the workspace's seams")]
pub(crate) fn fresh_seed() -> u64 {
    // The low half of a version 7 id is random; the high half is the clock. 32 bits are easy to type again.
    Uuid::now_v7().as_u64_pair().1 & 0xffff_ffff
}

/// The dice of customer `number` in the run with `seed`.
pub(crate) fn dice(seed: u64, number: u32) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)))
}
