//! Is there one order of events that explains all answers? A small checker of Wing and Gong's kind, for histories of one
//! key: it tries every order that respects real time, and remembers where it has been.

use std::collections::BTreeSet;

/// Most events of one history; they are a set of bits.
pub(crate) const EVENTS_MAX: usize = 50;
/// Most places looked at before giving up: a history with many lost answers has too many orders.
const PLACES_MAX: usize = 200_000;

/// What one key of the shop is, by itself.
pub(crate) trait Model {
    type State: Ord + Clone;
    type Event;

    /// The state after the event, or `None` if it cannot happen in this state.
    fn step(&self, state: &Self::State, event: &Self::Event) -> Option<Self::State>;
}

/// An event that took place at some moment between its begin and its end.
#[derive(Debug, Clone)]
pub(crate) struct Timed<E> {
    pub(crate) event: E,
    pub(crate) begin_ms: u64,
    /// `None`: at any time after its begin.
    pub(crate) end_ms: Option<u64>,
    /// It may also never have taken place.
    pub(crate) optional: bool,
}

/// Whether an order explains the history; `None` if it is too long to tell.
pub(crate) fn explained<M: Model>(model: &M, start: M::State, events: &[Timed<M::Event>]) -> Option<bool> {
    if events.len() > EVENTS_MAX {
        return None;
    }
    let needed: u64 = events.iter().enumerate().filter(|(_, event)| !event.optional).map(|(bit, _)| 1 << bit).sum();
    let mut seen: BTreeSet<(u64, M::State)> = BTreeSet::new();
    let mut places = vec![(0_u64, start)];
    while let Some((done, state)) = places.pop() {
        if done & needed == needed {
            return Some(true);
        }
        if !seen.insert((done, state.clone())) {
            continue;
        }
        if seen.len() > PLACES_MAX {
            return None;
        }
        // Whatever began after another had to be over cannot come before it.
        let open = events.iter().enumerate().filter(|(bit, event)| done & (1 << bit) == 0 && !event.optional);
        let first_end = open.filter_map(|(_, event)| event.end_ms).min().unwrap_or(u64::MAX);
        for (bit, event) in events.iter().enumerate() {
            if done & (1 << bit) == 0 && event.begin_ms <= first_end {
                places.extend(model.step(&state, &event.event).map(|next| (done | (1 << bit), next)));
            }
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register: writes set, reads see.
    struct Register;

    enum Access {
        Write(u8),
        Read(u8),
    }

    impl Model for Register {
        type State = u8;
        type Event = Access;

        fn step(&self, state: &u8, event: &Access) -> Option<u8> {
            match event {
                Access::Write(value) => Some(*value),
                Access::Read(value) => (value == state).then_some(*state),
            }
        }
    }

    fn at(event: Access, begin_ms: u64, end_ms: u64) -> Timed<Access> {
        Timed { event, begin_ms, end_ms: Some(end_ms), optional: false }
    }

    #[test]
    fn a_read_may_see_a_concurrent_write_but_not_forget_it_again() {
        let write = || at(Access::Write(1), 0, 10);
        let good = [write(), at(Access::Read(0), 1, 3), at(Access::Read(1), 4, 5), at(Access::Read(1), 11, 12)];
        assert_eq!(explained(&Register, 0, &good), Some(true));
        let bad = [write(), at(Access::Read(1), 1, 3), at(Access::Read(0), 4, 5)];
        assert_eq!(explained(&Register, 0, &bad), Some(false));
        assert_eq!(explained(&Register, 0, &[write(), at(Access::Read(0), 11, 12)]), Some(false));
    }

    #[test]
    fn a_lost_write_may_come_late_or_never() {
        let lost = Timed { event: Access::Write(1), begin_ms: 0, end_ms: None, optional: true };
        assert_eq!(explained(&Register, 0, &[lost.clone(), at(Access::Read(0), 50, 60)]), Some(true));
        let late = [lost.clone(), at(Access::Read(0), 50, 60), at(Access::Read(1), 70, 80)];
        assert_eq!(explained(&Register, 0, &late), Some(true));
        let twice = [lost, at(Access::Read(1), 50, 60), at(Access::Read(0), 70, 80)];
        assert_eq!(explained(&Register, 0, &twice), Some(false));
    }

    impl Clone for Access {
        fn clone(&self) -> Self {
            match self {
                Self::Write(value) => Self::Write(*value),
                Self::Read(value) => Self::Read(*value),
            }
        }
    }

    #[test]
    fn too_long_a_history_is_not_judged() {
        let many: Vec<_> = (0..=50).map(|number| at(Access::Write(1), number, number)).collect();
        assert_eq!(explained(&Register, 0, &many), None);
    }
}
