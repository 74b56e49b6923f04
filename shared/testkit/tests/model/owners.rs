//! The owners of data: each function is one transaction of `orders`, `catalogue` or `payments`, or one step of the
//! provider. They follow the SQL of the services line by line; what a mutant leaves out is left out here.

use crate::{
    model::Checkout,
    state::{Answer, Charge, Clock, Key, Op, Phase, Reservation, Reserved, Slot, State, Why},
    variant::Mutant,
};

impl Checkout {
    /// `orders.open`: of any number of claims the first wins.
    pub(crate) fn open(&self, state: &mut State, worker: u8) {
        if state.row.phase == Phase::Unclaimed {
            state.row.phase = Phase::Open;
            state.row.op = worker;
            state.row.driver = self.world().lease.then_some(worker);
        }
    }

    /// `orders.complete`.
    pub(crate) fn complete(&self, state: &mut State, op: Op) {
        if self.may_end(state, op) {
            self.end(state, Phase::Completed);
            state.row.orders = (state.row.orders + 1).min(2);
        }
    }

    /// `orders.refuse`.
    pub(crate) fn refuse(&self, state: &mut State, op: Op, why: Why) {
        if self.may_end(state, op) {
            self.end(state, why.phase());
        }
    }

    fn may_end(&self, state: &State, op: Op) -> bool {
        let guard = state.row.phase == Phase::Open || self.is(Mutant::NoGuard) && state.row.phase.has_ended();
        guard && state.row.op == op
    }

    /// State, answer and outbox in one transaction.
    fn end(&self, state: &mut State, phase: Phase) {
        state.row.phase = phase;
        state.row.driver = None;
        state.row.event = !self.is(Mutant::OutboxApart);
    }

    /// `catalogue.reserve`.
    pub(crate) fn reserve(&self, state: &mut State, op: Op) -> Reserved {
        let (remembered, reservation) = (state.of(op).reserved, state.of(op).reservation);
        let again = self.is(Mutant::ReserveAfterRelease) && reservation == Reservation::Released;
        if remembered != Reserved::Never && !again {
            return remembered;
        }
        let answer = match reservation {
            Reservation::None | Reservation::Released if reservation == Reservation::None || again => {
                if state.available > 0 {
                    state.available -= 1;
                    state.reserved += 1;
                    state.of_mut(op).reservation = Reservation::Reserved;
                    Reserved::Yes
                } else {
                    Reserved::OutOfStock
                }
            }
            _ => Reserved::Ended,
        };
        if !(self.is(Mutant::OutOfStockForgotten) && answer == Reserved::OutOfStock) {
            state.of_mut(op).reserved = answer;
        }
        answer
    }

    /// `catalogue.release`; whether the deliverer may forget the event.
    pub(crate) fn release(&self, state: &mut State, op: Op) -> bool {
        match state.of(op).reservation {
            Reservation::Reserved => {
                state.available += 1;
                state.reserved -= 1;
                state.of_mut(op).reservation = Reservation::Released;
                true
            }
            Reservation::None => {
                if !self.is(Mutant::ReleaseWithoutMark) {
                    state.of_mut(op).reservation = Reservation::Released;
                }
                true
            }
            Reservation::Released => true,
            Reservation::Settled => false,
        }
    }

    /// `catalogue.settle`; whether the deliverer may forget the event.
    pub(crate) fn settle(state: &mut State, op: Op) -> bool {
        if state.of(op).reservation == Reservation::Reserved {
            state.reserved -= 1;
            state.sold += 1;
            state.of_mut(op).reservation = Reservation::Settled;
        }
        state.of(op).reservation == Reservation::Settled
    }

    /// A gateway takes `payments.charge` up: look, begin, or the look-up after the window.
    pub(crate) fn begin(&self, state: &mut State, op: Op, repriced: bool) -> Option<Slot> {
        let row = *state.of(op);
        if !row.charge.is_open() || row.charge == Charge::Intended && row.repriced != repriced {
            return None;
        }
        if state.clock != Clock::Open && !self.is(Mutant::ResendAfterExpiry) {
            return (row.charges > 0).then_some(Slot::Answered(op, Answer::Charged));
        }
        if state.sends_left == 0 {
            return None;
        }
        state.sends_left -= 1;
        let another_key = self.is(Mutant::KeyPerAttempt) && row.maybe_sent > 0;
        let row = state.of_mut(op);
        row.repriced = repriced;
        if !self.is(Mutant::IntentAfterSend) {
            row.charge = Charge::Intended;
            row.maybe_sent += 1;
        }
        Some(Slot::Begun(op, u8::from(another_key)))
    }

    /// Records the provider's answer, or what a webhook or a person says.
    pub(crate) fn conclude(&self, state: &mut State, op: Op, answer: Answer) {
        let row = state.of_mut(op);
        let overwrites = self.is(Mutant::DecideOverwrites);
        match answer {
            Answer::Charged if row.charge.is_open() || overwrites => row.charge = Charge::Charged,
            Answer::Declined if row.charge.is_open() || overwrites => row.charge = Charge::Declined,
            Answer::NotExecuted if row.charge == Charge::Intended => row.maybe_sent = row.maybe_sent.saturating_sub(1),
            Answer::Rejected if row.charge == Charge::Intended => {
                if row.maybe_sent == 1 || self.is(Mutant::RejectDecides) {
                    row.charge = Charge::Declined;
                }
                row.maybe_sent = row.maybe_sent.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// `payments.close`; whether the checkout may now be refused.
    pub(crate) fn close(&self, state: &mut State, op: Op, evidence: bool) -> bool {
        let (clock, row) = (state.clock, state.of_mut(op));
        let quiet = row.maybe_sent == 0 || self.is(Mutant::CloseMaybeSent);
        let over = clock != Clock::Open || self.is(Mutant::CloseEarly);
        let may = match row.charge {
            Charge::None | Charge::Closed | Charge::Declined => true,
            Charge::Intended => evidence || quiet && over,
            Charge::Charged => false,
        };
        if may && row.charge.is_open() && !self.is(Mutant::CloseWithoutMark) {
            row.charge = Charge::Closed;
        }
        may
    }

    /// The provider meets a request; none when its answer proves nothing.
    pub(crate) fn execute(&self, state: &mut State, op: Op, key: u8, approves: bool) -> Option<Answer> {
        let (clock, world) = (state.clock, self.world());
        let ledgers = state.of_mut(op);
        let known = &mut ledgers.keys[usize::from(key)];
        match *known {
            Key::Charged => return Some(Answer::Charged),
            Key::Declined => return Some(Answer::Declined),
            Key::Unseen => {}
        }
        if world.reference && ledgers.charges > 0 {
            return None;
        }
        let too_late = world.not_after && clock != Clock::Open;
        if too_late && !world.too_late_declines {
            return None;
        }
        if approves && !too_late {
            *known = Key::Charged;
            ledgers.charges = (ledgers.charges + 1).min(2);
            return Some(Answer::Charged);
        }
        // The bank's no, or too late: both are remembered under the key.
        *known = Key::Declined;
        Some(Answer::Declined)
    }
}
