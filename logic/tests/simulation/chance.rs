//! The seed: every choice and every time of a run comes from here, so that the same seed is the same run.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use runtime::{Clock, Seams, SeededRandom};
use tokio::time::Instant;

/// Unix milliseconds at which every run begins.
const EPOCH_MS: i64 = 1_790_000_000_000;

/// Virtual wall time, which a node may see too early or too late (E20).
#[derive(Debug)]
struct VirtualClock {
    begun: Instant,
    skew_ms: AtomicI64,
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        EPOCH_MS + passed + self.skew_ms.load(Ordering::Relaxed)
    }
}

/// The dice of one run.
#[derive(Debug)]
pub(crate) struct Chance {
    seams: Seams,
    begun: Instant,
    trace: Mutex<u64>,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let begun = Instant::now();
        let clock = Arc::new(VirtualClock { begun, skew_ms: AtomicI64::new(0) });
        let seams = Seams { clock, random: Arc::new(SeededRandom::new(seed)) };
        Arc::new(Self { seams, begun, trace: Mutex::new(0xcbf2_9ce4_8422_2325) })
    }

    /// Clock and randomness of a node: its own stream of the seed, its own idea of the time.
    pub(crate) fn seams(&self, skew_ms: i64) -> Seams {
        let clock = Arc::new(VirtualClock { begun: self.begun, skew_ms: AtomicI64::new(skew_ms) });
        Seams { clock, random: Arc::new(SeededRandom::new(self.seams.u64())) }
    }

    /// True time, which databases go by.
    pub(crate) fn database(&self) -> Seams {
        self.seams(0)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.seams.now_ms()
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.seams.below(bound)
    }

    /// From `least` to `most`, both included.
    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(crate) fn permille(&self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub(crate) fn uuid(&self) -> uuid::Uuid {
        self.seams.uuid()
    }

    /// Adds to what two runs of one seed are compared by (FNV-1a over every event and its time).
    pub(crate) fn note(&self, event: &str) {
        let mut hash = self.trace.lock().unwrap();
        for byte in self.now_ms().to_le_bytes().iter().chain(event.as_bytes()) {
            *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if std::env::var_os("TRESTLE_TRACE").is_some() {
            println!("{:>9} {event}", self.now_ms() - EPOCH_MS);
        }
    }

    pub(crate) fn trace(&self) -> u64 {
        *self.trace.lock().unwrap()
    }
}
