//! How long an operation usually takes, so that a call with less time left is refused at once (O6): its answer would come
//! when nobody waits for it any more.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How far one call moves it: one part in this many.
const STEP: u64 = 16;

/// A moving median of the durations of calls that went well; 0 until there is one. Not a mean: a node that was stopped for
/// three seconds has a handful of calls of three seconds, and they say nothing about the next.
#[derive(Debug, Default)]
pub(crate) struct Usual(AtomicU64);

impl Usual {
    pub(crate) fn note(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Two at once may lose a sample, which a median can bear.
        let usual_us = self.0.load(Relaxed);
        let step_us = (usual_us / STEP).max(1);
        self.0.store(
            match usual_us {
                0 => took_us,
                _ if took_us > usual_us => took_us.min(usual_us + step_us),
                _ => took_us.max(usual_us - step_us),
            },
            Relaxed,
        );
    }

    /// A call was refused because of this. Refused calls bring no samples, so without this a node that was slow for a while
    /// would refuse for ever.
    pub(crate) fn doubt(&self) {
        let usual_us = self.0.load(Relaxed);
        self.0.store(usual_us - usual_us / STEP, Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_but_not_the_odd_one_out_and_gives_way_when_it_refuses() {
        let (usual, ms) = (Usual::default(), Duration::from_millis);
        assert_eq!(usual.get(), ms(0));
        usual.note(ms(1));
        (0..10).for_each(|_| usual.note(ms(3_000)));
        assert!(usual.get() < ms(2), "{:?}", usual.get());
        (0..100).for_each(|_| usual.note(ms(40)));
        assert_eq!(usual.get(), ms(40));
        let refused = (0..).find(|_| {
            usual.doubt();
            usual.get() < ms(10)
        });
        assert!(refused.unwrap() < 30);
        (0..100).for_each(|_| usual.note(ms(2)));
        assert_eq!(usual.get(), ms(2));
    }
}
