//! States that can never behave differently again are made one: what can have no effect any more is forgotten. Only in
//! the protocol itself; in a mutant the same thing may well have an effect.

use crate::{
    model::Checkout,
    state::{Answer, Charge, Message, Person, Phase, Reserved, Slot, State, Why},
    variant::Mutant,
};

impl Checkout {
    pub(crate) fn forget(&self, state: &mut State) {
        if !matches!(self.variant.mutant, Mutant::None | Mutant::CloseEarly) || state.row.phase == Phase::Unclaimed {
            return;
        }
        // The key is claimed: a late claim loses. No id but the winner's is ever used.
        for worker in 0..self.size.workers {
            state.sent &= !Message::Open(worker).bit();
        }
        let op = state.row.op;
        let ledgers = *state.of(op);
        if ledgers.reserved != Reserved::Never {
            state.sent &= !Message::Reserve(op).bit();
            if state.other == 2 {
                state.other = 0;
            }
        }
        // A request of the client can now only bring the answer.
        state.requests_left = if state.acknowledged.is_some() { 0 } else { state.requests_left.min(1) };
        if state.row.phase.has_ended() {
            state.sent &= !Message::Complete(op).bit();
            for why in [Why::Declined, Why::OutOfStock, Why::Closed] {
                state.sent &= !Message::Refuse(op, why).bit();
            }
        }
        if !ledgers.charge.is_open() {
            state.sent &= !Message::Charge(op, false).bit();
            state.sends_left = 0;
            state.person = Person::Away;
            if matches!(ledgers.charge, Charge::Charged | Charge::Declined) {
                state.of_mut(op).maybe_sent = 0;
            }
        }
        for slot in &mut state.slots {
            if matches!(*slot, Slot::Answered(of, answer) if of == op && is_too_late(ledgers.charge, answer)) {
                *slot = Slot::Free;
            }
        }
    }
}

/// The record of this answer would change nothing.
fn is_too_late(charge: Charge, answer: Answer) -> bool {
    match answer {
        Answer::Charged | Answer::Declined => !charge.is_open(),
        Answer::NotExecuted | Answer::Rejected => charge != Charge::Intended,
    }
}
