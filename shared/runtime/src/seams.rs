//! The seams of time and chance (T-1): everything that makes two runs differ passes through here, so that a test or a
//! simulation can decide it. Timers use tokio's clock, which tests pause; this is the wall clock.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

/// The wall clock of a node. Never used for leases or expiry of stored rows: those go by the database's clock (SEM-7).
pub trait Clock: Send + Sync + fmt::Debug {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> i64;
}

/// A source of random bytes.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the seam")]
    fn now_ms(&self) -> i64 {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that only a test moves.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at this Unix time in milliseconds.
    #[must_use]
    pub const fn at(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Moves the clock on.
    pub fn advance_ms(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The operating system's randomness, fit for tokens.
#[derive(Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the seam")]
    fn fill(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}

/// Randomness that repeats for a seed: for tests and simulations only.
#[derive(Debug)]
pub struct SeededRandom(Mutex<StdRng>);

impl SeededRandom {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer);
    }
}

/// Clock and randomness of one node.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl Seams {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }

    /// Unix time in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A new time-ordered id (UUIDv7, RFC 9562).
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        let millis = u64::try_from(self.now_ms()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A new secret of 256 bits, as 64 hexadecimal digits.
    #[must_use]
    pub fn token(&self) -> String {
        use fmt::Write as _;
        let mut secret = [0; 32];
        self.random.fill(&mut secret);
        secret.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// A random 64-bit number.
    #[must_use]
    pub fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    /// A random number from 0 up to, not including, `bound`; 0 when `bound` is 0. The bias is below 2^-32 for bounds
    /// below 2^32, which jitter and choice of node can bear.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.u64() % bound }
    }
}

/// A time as people and the public API write it; the epoch for times that no calendar knows.
#[must_use]
pub fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_ids_are_time_ordered() {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let make = || Seams { clock: clock.clone(), random: Arc::new(SeededRandom::new(7)) };
        assert_eq!(make().uuid(), make().uuid());
        let seams = make();
        let first = seams.uuid();
        clock.advance_ms(1);
        assert!(first < seams.uuid());
        assert_eq!(first.get_version_num(), 7);
        assert_eq!(seams.token().len(), 64);
    }
}
