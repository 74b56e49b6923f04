//! What each action does.

use crate::{
    model::{Action, Checkout, Fate},
    state::{Answer, Charge, Clock, Key, Message, Op, Person, Phase, Reserved, STOCKED, Slot, State, Why, Worker},
    variant::Mutant,
};

impl Checkout {
    pub(crate) fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Request(worker) => self.request(state, worker),
            Action::TakeOver(worker) => {
                if self.is(Mutant::NoCompleter) {
                    state.requests_left -= 1;
                }
                self.take(state, worker);
            }
            Action::Reply(worker) => self.reply(state, worker),
            Action::PutOff(worker) => match state.workers[usize::from(worker)] {
                Worker::Charging(op) if self.is(Mutant::TimeoutFinal) => refusing(state, worker, op, Why::Declined),
                _ => put_off(state, worker),
            },
            Action::Lapsed(worker) => {
                if let Worker::Charging(op) = state.workers[usize::from(worker)] {
                    match self.close(state, op, false) {
                        true => refusing(state, worker, op, Why::Closed),
                        false => put_off(state, worker),
                    }
                }
            }
            Action::Abandon(worker) => {
                if let Worker::Charging(op) = state.workers[usize::from(worker)] {
                    refusing(state, worker, op, Why::Closed);
                }
            }
            Action::Crash(worker) => state.workers[usize::from(worker)] = Worker::Idle,
            Action::Lapse => state.row.driver = None,
            Action::Late(message) => self.late(state, message),
            Action::Begin(op, repriced) => {
                if let Some(work) = self.begin(state, op, repriced) {
                    Self::occupy(state, work);
                }
            }
            Action::Tick => tick(state),
            Action::OtherCustomer => {
                state.other += 1;
                state.available = if state.other == 1 { 0 } else { state.available + STOCKED };
            }
            Action::Attest(op) => self.conclude(state, op, Answer::Charged),
            Action::Look(op) => state.person = Person::SawNone(op),
            Action::Close(op, evidence) => {
                state.person = Person::Away;
                if self.is(Mutant::RefuseWithoutClose) || self.close(state, op, evidence) {
                    state.send(Message::Refuse(op, Why::Closed));
                }
            }
            Action::Deliver(forget) => self.deliver(state, forget),
            Action::Reap => {
                state.row.phase = Phase::Unclaimed;
                state.row.driver = None;
            }
            _ => self.provider_step(state, action),
        }
    }

    fn provider_step(&self, state: &mut State, action: Action) {
        match action {
            Action::Send(at) => {
                if let Slot::Begun(op, key) = state.slots[usize::from(at)] {
                    state.slots[usize::from(at)] = Slot::Sent(op, key);
                }
            }
            Action::Paused(at) | Action::TurnedAway(at) => answer(state, at, Answer::NotExecuted),
            Action::Rejected(at) => answer(state, at, Answer::Rejected),
            Action::Execute(at, approves, fate) => {
                let Slot::Sent(op, key) = state.slots[usize::from(at)] else { return };
                let answer = self.execute(state, op, key, approves);
                let slot = if fate == Fate::AnswerLost { Slot::Free } else { Self::answered(answer, op) };
                state.slots[usize::from(at)] = slot;
                state.of_mut(op).stray[usize::from(key)] |= fate == Fate::Doubled;
            }
            Action::Timeout(at, under_way) => {
                let Slot::Sent(op, key) = state.slots[usize::from(at)] else { return };
                state.slots[usize::from(at)] = Slot::Free;
                let row = state.of_mut(op);
                row.stray[usize::from(key)] |= under_way;
                if self.is(Mutant::UnknownTakenBack) && row.charge == Charge::Intended {
                    row.maybe_sent = row.maybe_sent.saturating_sub(1);
                }
            }
            Action::Conclude(at) => {
                if let Slot::Answered(op, answer) = state.slots[usize::from(at)] {
                    state.slots[usize::from(at)] = Slot::Free;
                    self.conclude(state, op, answer);
                }
            }
            Action::CrashGateway(at) => state.slots[usize::from(at)] = Slot::Free,
            Action::StrayArrives(op, key, approves) => {
                state.of_mut(op).stray[usize::from(key)] = false;
                self.execute(state, op, key, approves);
            }
            Action::StrayLost(op, key) => state.of_mut(op).stray[usize::from(key)] = false,
            Action::Webhook(op) => self.conclude(state, op, Answer::Charged),
            _ => {}
        }
    }

    /// `shop.checkout` arrives at a node: `orders.find`, and then a claim or a take-over.
    fn request(&self, state: &mut State, worker: u8) {
        state.requests_left -= 1;
        state.workers[usize::from(worker)] = match state.row.phase {
            Phase::Unclaimed => {
                state.send(Message::Open(worker));
                Worker::Opening
            }
            Phase::Open => Worker::Idle,
            ended => {
                state.acknowledged = Some(ended);
                Worker::Idle
            }
        };
    }

    /// `orders.take` or `orders.due`, where nobody holds the lease.
    fn take(&self, state: &mut State, worker: u8) {
        state.row.driver = self.world().lease.then_some(worker);
        reserving(state, worker, state.row.op);
    }

    fn reply(&self, state: &mut State, worker: u8) {
        match state.workers[usize::from(worker)] {
            Worker::Idle => {}
            Worker::Opening => {
                self.open(state, worker);
                let mine = state.row.op == worker && (state.row.driver == Some(worker) || !self.world().lease);
                if state.row.phase == Phase::Open && mine || self.is(Mutant::LoserDrives) {
                    reserving(state, worker, worker);
                } else {
                    answer_client(state, worker);
                }
            }
            Worker::Reserving(op) => match self.reserve(state, op) {
                Reserved::Yes => self.charging(state, worker, op),
                Reserved::OutOfStock => refusing(state, worker, op, Why::OutOfStock),
                Reserved::Ended | Reserved::Never => put_off(state, worker),
            },
            Worker::Charging(op) => match Self::answer_to_charge(state, op) {
                Some(None) => self.completing(state, worker, op),
                Some(Some(why)) => refusing(state, worker, op, why),
                None => {}
            },
            Worker::Completing(op) => {
                self.complete(state, op);
                self.write_outbox_apart(state);
                answer_client(state, worker);
            }
            Worker::Refusing(op, why) => {
                self.refuse(state, op, why);
                self.write_outbox_apart(state);
                answer_client(state, worker);
            }
        }
    }

    /// What a driver may conclude from the charge's row: to complete, or to refuse. A close that a driver left behind is
    /// carried on by the next; one that rests on evidence is for the person who made it.
    pub(crate) fn answer_to_charge(state: &State, op: Op) -> Option<Option<Why>> {
        let row = state.of(op);
        match row.charge {
            Charge::Charged => Some(None),
            Charge::Declined => Some(Some(Why::Declined)),
            Charge::Closed if row.maybe_sent == 0 => Some(Some(Why::Closed)),
            Charge::None | Charge::Intended | Charge::Closed => None,
        }
    }

    /// The second transaction of a mutant, which a driver that dies after the first does not reach.
    fn write_outbox_apart(&self, state: &mut State) {
        state.row.event |= self.is(Mutant::OutboxApart);
    }

    fn charging(&self, state: &mut State, worker: u8, op: Op) {
        if self.is(Mutant::SettleBeforeCharge) {
            Self::settle(state, op);
        }
        let repriced = self.is(Mutant::ResumeReprices) && worker != op;
        state.send(Message::Charge(op, repriced));
        state.workers[usize::from(worker)] = Worker::Charging(op);
    }

    fn completing(&self, state: &mut State, worker: u8, op: Op) {
        if self.is(Mutant::SettleBeforeComplete) {
            Self::settle(state, op);
        }
        if self.is(Mutant::AnswerBeforeComplete) {
            state.acknowledged = Some(Phase::Completed);
        }
        state.send(Message::Complete(op));
        state.workers[usize::from(worker)] = Worker::Completing(op);
    }

    fn late(&self, state: &mut State, message: Message) {
        match message {
            Message::Open(worker) => self.open(state, worker),
            Message::Reserve(op) => {
                self.reserve(state, op);
            }
            // Taken up by a gateway of its own: `Action::Begin`.
            Message::Charge(..) => {}
            Message::Complete(op) => self.complete(state, op),
            Message::Refuse(op, why) => self.refuse(state, op, why),
        }
    }

    fn deliver(&self, state: &mut State, forget: bool) {
        let op = state.row.op;
        if forget && self.is(Mutant::AckBeforeDelivery) {
            state.row.event = false;
            return;
        }
        let done = match state.row.phase {
            Phase::Completed => Self::settle(state, op),
            _ => self.release(state, op),
        };
        if done && forget {
            state.row.event = false;
        }
    }
}

fn answer(state: &mut State, at: u8, answer: Answer) {
    if let Slot::Begun(op, _) | Slot::Sent(op, _) = state.slots[usize::from(at)] {
        state.slots[usize::from(at)] = Slot::Answered(op, answer);
    }
}

fn tick(state: &mut State) {
    match state.clock {
        Clock::Open => state.clock = Clock::Over,
        Clock::Over | Clock::Forgotten => {
            state.clock = Clock::Forgotten;
            for ledgers in &mut state.ledgers {
                ledgers.keys = [Key::Unseen; 2];
            }
        }
    }
}

fn put_off(state: &mut State, worker: u8) {
    state.workers[usize::from(worker)] = Worker::Idle;
    if state.row.driver == Some(worker) {
        state.row.driver = None;
    }
}

fn reserving(state: &mut State, worker: u8, op: Op) {
    state.send(Message::Reserve(op));
    state.workers[usize::from(worker)] = Worker::Reserving(op);
}

fn refusing(state: &mut State, worker: u8, op: Op, why: Why) {
    state.send(Message::Refuse(op, why));
    state.workers[usize::from(worker)] = Worker::Refusing(op, why);
}

/// The stored answer goes to the client, whichever request asked for it.
fn answer_client(state: &mut State, worker: u8) {
    if state.row.phase.has_ended() {
        state.acknowledged = Some(state.row.phase);
    }
    put_off(state, worker);
}
