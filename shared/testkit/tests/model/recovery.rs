//! "From every state, once faults stop, it ends." The checker's own *eventually* is blind to cycles (a put-off and its
//! next try are one), so each state is run on along one fair schedule instead: what is under way arrives, leases of
//! those who drive no more lapse, completers and deliverers do their work, time passes, a person acts last.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use stateright::Model as _;

use crate::{
    model::{Action, Checkout, Fate},
    state::{Charge, Clock, Message, Phase, Slot, State, Why, Worker},
    variant::Mutant,
};

/// More than any schedule takes; a longer one goes in circles.
const STEPS_MAX: u32 = 60;

thread_local! {
    /// Fingerprints of states that are known to end. The schedule depends on the state alone, so a walk that meets one
    /// ends too. The checker's threads live for one run, and this with them.
    static END: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
}

impl Checkout {
    pub(crate) fn ends_without_faults(&self, state: &State) -> bool {
        END.with_borrow_mut(|known| self.walk(*state, known))
    }

    fn walk(&self, mut state: State, known: &mut BTreeSet<u64>) -> bool {
        let mut walked = Vec::new();
        let (mut actions, mut ranked) = (Vec::new(), Vec::new());
        for _ in 0..STEPS_MAX {
            let print = fingerprint(&state);
            if known.contains(&print) {
                known.extend(walked);
                return true;
            }
            walked.push(print);
            actions.clear();
            self.actions(&state, &mut actions);
            ranked.clear();
            ranked.extend(actions.iter().filter_map(|action| Some((self.rank(&state, *action)?, *action))));
            ranked.sort_by_key(|(rank, _)| *rank);
            match ranked.iter().find_map(|(_, action)| self.next_state(&state, *action)) {
                Some(next) => state = next,
                None if is_at_rest(&state) => {
                    known.extend(walked);
                    return true;
                }
                None => return false,
            }
        }
        false
    }

    /// Whether the machine, without a person and without time passing, can come to an end.
    fn can_go_on(&self, state: &State) -> bool {
        let ledgers = state.of(state.row.op);
        match ledgers.charge {
            Charge::Charged | Charge::Declined => true,
            Charge::Closed => false,
            Charge::None | Charge::Intended => self.can_decide(state),
        }
    }

    fn can_decide(&self, state: &State) -> bool {
        let sends = state.clock == Clock::Open || self.is(Mutant::ResendAfterExpiry);
        sends && state.sends_left > 0 || state.of(state.row.op).charges > 0
    }

    /// Smaller comes first; `None` is not on the schedule.
    fn rank(&self, state: &State, action: Action) -> Option<u8> {
        let open = state.row.phase == Phase::Open;
        let op = state.row.op;
        match action {
            Action::Conclude(_) => Some(0),
            Action::Execute(_, true, Fate::Answered) => Some(1),
            Action::Send(_) => Some(2),
            Action::StrayArrives(_, _, true) => Some(3),
            Action::Reply(_) => Some(4),
            Action::Deliver(true) => Some(5),
            Action::Lapsed(_) => Some(6),
            Action::Late(Message::Refuse(_, Why::Closed)) if open && state.of(op).charge == Charge::Closed => Some(7),
            Action::Begin(of, _) if open && of == op && is_waited_for(state) && self.can_decide(state) => Some(8),
            Action::Webhook(_) if open && state.of(op).charge.is_open() => Some(9),
            Action::Lapse if !holder_drives(state) => Some(10),
            Action::TakeOver(_) if open && self.can_go_on(state) && !anybody_drives(state) => Some(11),
            Action::PutOff(_) => Some(12),
            Action::Tick if open && state.clock < self.evidence_at() => Some(13),
            Action::Close(_, true) => Some(14),
            Action::Attest(_) | Action::Look(_) => Some(15),
            _ => None,
        }
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn is_waited_for(state: &State) -> bool {
    state.workers.iter().any(|worker| matches!(worker, Worker::Charging(_)))
}

fn anybody_drives(state: &State) -> bool {
    state.workers.iter().any(|worker| worker.drives())
}

fn holder_drives(state: &State) -> bool {
    state.row.driver.is_some_and(|holder| state.workers[usize::from(holder)].drives())
}

/// The key was never claimed, or the checkout is over and so is all that follows from it.
fn is_at_rest(state: &State) -> bool {
    let over = state.row.phase.has_ended() && !state.row.event || state.row.phase == Phase::Unclaimed;
    over && !anybody_drives(state) && state.slots.iter().all(|slot| *slot == Slot::Free)
}
