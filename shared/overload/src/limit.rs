//! How many may be under work at a time: fixed, or found by AIMD (Chiu and Jain 1989). Plain state: what the last window
//! showed is handed in.
//!
//! Two guards, both from practice (Netflix' concurrency-limits): the limit grows only while at least half of it is used, or
//! a quiet night would raise it to where it limits nothing; and a congested window first takes away what was not used,
//! or the cut would start far above the load and take seconds to be felt.

/// Between which bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Whether the limit is looked for; otherwise it is `max`.
    pub(crate) adaptive: bool,
}

/// What a congested window leaves of the limit.
const CUT: f64 = 0.9;
/// What an uncongested window adds, as a share of the limit, and at least one place.
const STEP: f64 = 0.05;

/// Where the limit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Up,
    Down,
    Same,
}

/// A limit; starts at its upper bound.
#[derive(Debug)]
pub(crate) struct Limit(f64);

impl Limit {
    pub(crate) const fn new() -> Self {
        Self(f64::MAX)
    }

    fn within(&self, bounds: Bounds) -> f64 {
        let max = f64::from(bounds.max.max(1));
        if bounds.adaptive { self.0.clamp(f64::from(bounds.min.max(1)).min(max), max) } else { max }
    }

    /// In whole places; never none, or nothing would ever show that the load is gone.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped between two u32")]
    pub(crate) fn now(&self, bounds: Bounds) -> u32 {
        self.within(bounds) as u32
    }

    /// A window is over in which at most `peak` were under work.
    pub(crate) fn turn(&mut self, bounds: Bounds, congested: bool, peak: u32) -> Turn {
        let (before, used) = (self.within(bounds), 2.0 * f64::from(peak));
        self.0 = match congested {
            true => before.min(used) * CUT,
            false if used >= before => before + (before * STEP).max(1.0),
            false => before,
        };
        self.0 = self.within(bounds);
        match self.0.total_cmp(&before) {
            std::cmp::Ordering::Less => Turn::Down,
            std::cmp::Ordering::Equal => Turn::Same,
            std::cmp::Ordering::Greater => Turn::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { min: 4, max: 512, adaptive: true };
    const TARGET_MS: f64 = 20.0;

    /// A server of so many places and 20 ms of work, with a queue behind the limit: one window of 100 ms in which as many
    /// are under work as the limit lets in, and as are offered.
    fn window(limit: &mut Limit, places: u32, offered: u32) -> u32 {
        let inside = limit.now(BOUNDS).min(offered);
        let queued_ms = 20.0 * (f64::from(inside) - f64::from(places)).max(0.0) / f64::from(places);
        limit.turn(BOUNDS, queued_ms > TARGET_MS, inside);
        limit.now(BOUNDS)
    }

    #[test]
    fn it_settles_where_the_server_is_busy_and_its_queue_short() {
        for places in [4_u32, 16, 64] {
            let mut limit = Limit::new();
            let settled: Vec<u32> = (0..200).map(|_| window(&mut limit, places, 10_000)).skip(100).collect();
            let (least, most) = (settled.iter().min().unwrap(), settled.iter().max().unwrap());
            // At twice the places the queue is just at its target.
            assert!(*least >= places && *most <= places * 2 + places / 5 + 1, "{places} places: {least} to {most}");
        }
    }

    #[test]
    fn it_comes_back_after_a_dip_and_cuts_at_once_what_is_not_used() {
        let mut limit = Limit::new();
        assert_eq!(limit.now(BOUNDS), 512);
        assert!(window(&mut limit, 16, 60) < 2 * 60, "the first congested window is felt");
        for _ in 0..100 {
            window(&mut limit, 16, 10_000);
        }
        for _ in 0..50 {
            window(&mut limit, 1, 10_000);
        }
        assert_eq!(limit.now(BOUNDS), BOUNDS.min, "nearly nothing is served");
        let back = (1..).find(|_| window(&mut limit, 16, 10_000) >= 16).unwrap();
        assert!(back <= 15, "{back} windows of 100 ms until all places are used again");
    }

    #[test]
    fn it_does_not_grow_without_use_and_bounds_may_change_under_it() {
        let mut limit = Limit::new();
        limit.turn(BOUNDS, true, 10);
        let low = limit.now(BOUNDS);
        assert!((0..100).all(|_| limit.turn(BOUNDS, false, low / 2 - 1) == Turn::Same));
        assert_eq!(limit.turn(BOUNDS, false, low / 2 + 1), Turn::Up);
        let fixed = Bounds { adaptive: false, max: 7, ..BOUNDS };
        assert_eq!((limit.now(fixed), limit.turn(fixed, true, 7)), (7, Turn::Same));
        assert_eq!(limit.now(Bounds { min: 30, max: 3, adaptive: true }), 3, "the upper bound wins");
    }
}
