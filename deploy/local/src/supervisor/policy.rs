//! When an ended node is started again, and when enough is enough.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The delay after the end of a node that was ready: a crash should cost a customer nothing.
const DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest delay: a node that cannot start (its disk is full, its port was taken by another program) is tried
/// again at this pace for as long as the shop runs, because the cause may go away.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Restart intensity, as in OTP: more ends than this within the window mean a fault that restarting does not cure.
const ENDS_MAX: usize = 10;
/// See [`ENDS_MAX`].
const WINDOW: Duration = Duration::from_secs(10);

/// The restarts of one node.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    delay: Duration,
    ends: VecDeque<Instant>,
}

impl Restarts {
    /// How long to wait before the next start; `None` when it is the 11th end within 10 s.
    ///
    /// Doubling is for nodes that do not even get ready. If a node that was ready waited longer each time too, the
    /// limit could never be reached, and a node killed ten times would be away for most of a minute.
    pub(crate) fn ended(&mut self, now: Instant, was_ready: bool) -> Option<Duration> {
        self.ends.push_back(now);
        while self.ends.front().is_some_and(|end| now.duration_since(*end) >= WINDOW) {
            self.ends.pop_front();
        }
        if self.ends.len() > ENDS_MAX {
            return None;
        }
        self.delay = if was_ready { DELAY_MIN } else { (self.delay * 2).clamp(DELAY_MIN, DELAY_MAX) };
        Some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn ten_kills_in_ten_seconds_are_tolerated_and_the_eleventh_is_not() {
        let (mut restarts, start) = (Restarts::default(), Instant::now());
        for kill in 0..10 {
            assert_eq!(restarts.ended(at(start, kill * 900), true), Some(DELAY_MIN));
        }
        assert_eq!(restarts.ended(at(start, 9_999), true), None);
    }

    #[test]
    fn a_kill_each_second_is_tolerated_for_ever() {
        let (mut restarts, start) = (Restarts::default(), Instant::now());
        for kill in 0..1_000 {
            assert_eq!(restarts.ended(at(start, kill * 1_000), true), Some(DELAY_MIN));
        }
    }

    #[test]
    fn the_delay_doubles_up_to_5_s_until_the_node_was_ready() {
        let (mut restarts, mut now) = (Restarts::default(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..9 {
            let delay = restarts.ended(now, false).unwrap();
            delays.push(delay.as_millis());
            now += delay;
        }
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(restarts.ended(now, true), Some(DELAY_MIN));
    }
}
