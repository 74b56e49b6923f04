//! How long an operation usually takes, so that a call with less time left is refused at once (O6): its answer would come
//! when nobody waits for it any more.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Weight of a new sample: one part in this many.
const WEIGHT: u64 = 16;

/// A moving mean of the durations of calls that went well; 0 until there is one.
#[derive(Debug, Default)]
pub(crate) struct Usual(AtomicU64);

impl Usual {
    pub(crate) fn note(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Two at once may lose a sample, which the mean can bear.
        let mean_us = self.0.load(Relaxed);
        self.0.store(mean_us - mean_us / WEIGHT + took_us / WEIGHT, Relaxed);
    }

    /// A call was refused because of this. Refused calls bring no samples, so without this a node that was slow for a while
    /// would refuse for ever.
    pub(crate) fn doubt(&self) {
        let mean_us = self.0.load(Relaxed);
        self.0.store(mean_us - mean_us / WEIGHT, Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_and_gives_way_when_it_refuses_everything() {
        let usual = Usual::default();
        assert_eq!(usual.get(), Duration::ZERO);
        (0..100).for_each(|_| usual.note(Duration::from_millis(40)));
        assert!((38..=40).contains(&usual.get().as_millis()), "{:?}", usual.get());
        let refused = (0..).find(|_| {
            usual.doubt();
            usual.get() < Duration::from_millis(10)
        });
        assert!(refused.unwrap() < 30);
    }
}
