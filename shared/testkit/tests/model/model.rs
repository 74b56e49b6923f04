//! The model: what can happen in a state, and what it leads to.
//!
//! A driver sends its next request in the step in which it gets the answer before. Since a request may also never
//! arrive, this covers a crash between the two.

use stateright::{Model, Property};

use crate::{
    properties,
    state::{
        Answer, Charge, Clock, Key, Ledgers, Message, Op, Person, Phase, Reservation, Reserved, Row, SLOTS, STOCKED,
        Slot, State, WORKERS_MAX, Why, Worker,
    },
    variant::{Forgets, Mutant, Size, Variant, World},
};

/// One variant in one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkout {
    pub(crate) variant: Variant,
    pub(crate) size: Size,
}

/// How a request to the provider ends for the gateway that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    AnswerLost,
    /// The network hands the request in once more, later.
    Doubled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The client sends its request: for the first time, or again to hear the end.
    Request(u8),
    /// A node takes the open checkout over: its completer finds it due, or the client's repeat does.
    TakeOver(u8),
    /// The owner meets the driver's request, and the driver gets the answer.
    Reply(u8),
    /// The driver gets no answer, or none that is definite, and puts the checkout off.
    PutOff(u8),
    Crash(u8),
    /// The lease lapses, whoever holds it.
    Lapse,
    /// An owner meets a request for whose answer nobody waits.
    Late(Message),
    /// A gateway meets a request to charge.
    Begin(Op, bool),
    Send(u8),
    /// The gateway sees that it stood still, and gives the attempt up before the send.
    Paused(u8),
    Execute(u8, bool, Fate),
    TurnedAway(u8),
    Rejected(u8),
    /// The gateway waits no longer; the request is lost, or still under way.
    Timeout(u8, bool),
    Conclude(u8),
    CrashGateway(u8),
    StrayArrives(Op, u8, bool),
    StrayLost(Op, u8),
    Webhook(Op),
    Tick,
    OtherCustomer,
    /// A person names the provider's charge.
    Attest(Op),
    /// A person closes: sees first that there is no charge, or has no evidence.
    Look(Op),
    Close(Op, bool),
    /// The event of the end is handed over; then it is forgotten, or it will come again.
    Deliver(bool),
    Reap,
    /// The window is over and a look-up finds nothing: the driver closes the charge, and if that may be, refuses.
    Lapsed(u8),
    /// A mutant's driver gives up on a look-up without a find.
    Abandon(u8),
}

impl Checkout {
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.variant.mutant == mutant
    }

    pub(crate) fn world(&self) -> World {
        self.variant.world
    }

    /// From when on "no charge in the provider's ledger" proves that none comes.
    pub(crate) fn evidence_at(&self) -> Clock {
        if self.world().not_after { Clock::Over } else { Clock::Forgotten }
    }

    pub(crate) fn may_tick(&self, state: &State) -> bool {
        match (state.clock, self.world().forgets) {
            (Clock::Open, _) | (Clock::Over, Forgets::Anytime) => true,
            (Clock::Over, Forgets::NothingUnderWay) => !state.provider_call_under_way(),
            (Clock::Over, Forgets::AllRecorded) => {
                state.ledgers.iter().all(|ledgers| ledgers.charges == 0 || !ledgers.charge.is_open())
            }
            (Clock::Forgotten, _) => false,
        }
    }

    fn worker_actions(&self, state: &State, worker: u8, actions: &mut Vec<Action>) {
        let open = state.row.phase == Phase::Open;
        match state.workers[usize::from(worker)] {
            Worker::Idle => {
                if state.requests_left > 0 && !open {
                    actions.push(Action::Request(worker));
                }
                if open && state.row.driver.is_none() && (state.requests_left > 0 || !self.is(Mutant::NoCompleter)) {
                    actions.push(Action::TakeOver(worker));
                }
                return;
            }
            Worker::Charging(op) => {
                if Self::answer_to_charge(state, op).is_some() {
                    actions.push(Action::Reply(worker));
                }
                if state.clock != Clock::Open && state.of(op).charge.is_open() && state.of(op).charges == 0 {
                    actions.push(Action::Lapsed(worker));
                }
                if self.is(Mutant::NotFoundAbandons) && state.of(op).charges == 0 {
                    actions.push(Action::Abandon(worker));
                }
            }
            _ => actions.push(Action::Reply(worker)),
        }
        actions.extend([Action::PutOff(worker), Action::Crash(worker)]);
    }

    fn slot_actions(state: &State, slot: u8, actions: &mut Vec<Action>) {
        match state.slots[usize::from(slot)] {
            Slot::Free => return,
            Slot::Begun(..) => actions.extend([Action::Send(slot), Action::Paused(slot)]),
            Slot::Sent(..) => {
                for fate in [Fate::Answered, Fate::AnswerLost, Fate::Doubled] {
                    actions.extend([Action::Execute(slot, true, fate), Action::Execute(slot, false, fate)]);
                }
                actions.extend([Action::TurnedAway(slot), Action::Rejected(slot)]);
                // A gateway that crashes here is one that waits no longer.
                actions.extend([Action::Timeout(slot, true), Action::Timeout(slot, false)]);
                return;
            }
            Slot::Answered(..) => actions.push(Action::Conclude(slot)),
        }
        actions.push(Action::CrashGateway(slot));
    }

    fn operation_actions(&self, state: &State, op: Op, actions: &mut Vec<Action>) {
        let refusals = [Why::Declined, Why::OutOfStock, Why::Closed].map(|why| Message::Refuse(op, why));
        let messages = [Message::Open(op), Message::Reserve(op), Message::Complete(op)];
        let sent = messages.into_iter().chain(refusals).filter(|message| state.was_sent(*message));
        actions.extend(sent.map(Action::Late));
        if state.slots.contains(&Slot::Free) && state.of(op).charge.is_open() {
            let repriced = [false, true].into_iter();
            let begun = repriced.filter(|repriced| state.was_sent(Message::Charge(op, *repriced)));
            actions.extend(begun.map(|repriced| Action::Begin(op, repriced)));
        }
        for key in 0..2 {
            if state.of(op).stray[usize::from(key)] {
                actions.extend([true, false].map(|approves| Action::StrayArrives(op, key, approves)));
                actions.push(Action::StrayLost(op, key));
            }
        }
        if state.of(op).charges > 0 && state.of(op).charge != Charge::Charged {
            actions.push(Action::Webhook(op));
        }
        if state.person == Person::Away && state.row.phase == Phase::Open && state.row.op == op {
            if state.of(op).charges > 0 {
                actions.push(Action::Attest(op));
            } else if state.clock >= self.evidence_at() {
                actions.push(Action::Look(op));
            }
            actions.push(Action::Close(op, false));
        }
    }
}

impl Model for Checkout {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let ledgers = Ledgers {
            reservation: Reservation::None,
            reserved: Reserved::Never,
            charge: Charge::None,
            maybe_sent: 0,
            repriced: false,
            keys: [Key::Unseen; 2],
            charges: 0,
            stray: [false; 2],
        };
        vec![State {
            clock: Clock::Open,
            requests_left: self.size.requests,
            sends_left: self.size.sends,
            acknowledged: None,
            row: Row { phase: Phase::Unclaimed, op: 0, driver: None, event: false, orders: 0 },
            workers: [Worker::Idle; WORKERS_MAX],
            sent: 0,
            ledgers: [ledgers; WORKERS_MAX],
            available: STOCKED,
            reserved: 0,
            sold: 0,
            other: 0,
            slots: [Slot::Free; SLOTS],
            person: Person::Away,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for worker in 0..self.size.workers {
            self.worker_actions(state, worker, actions);
        }
        for slot in 0..2 {
            Self::slot_actions(state, slot, actions);
        }
        for op in 0..self.size.workers {
            self.operation_actions(state, op, actions);
        }
        if state.row.driver.is_some() {
            actions.push(Action::Lapse);
        }
        if self.may_tick(state) {
            actions.push(Action::Tick);
        }
        // What another customer takes after the catalogue has answered changes nothing for this one.
        let unanswered = state.ledgers.iter().all(|ledgers| ledgers.reserved == Reserved::Never);
        if state.other == 1 || state.other == 0 && unanswered {
            actions.push(Action::OtherCustomer);
        }
        if let Person::SawNone(op) = state.person {
            actions.push(Action::Close(op, true));
        }
        if state.row.phase.has_ended() {
            actions.push(Action::Deliver(false));
            if state.row.event {
                actions.push(Action::Deliver(true));
            }
        }
        if self.is(Mutant::GreedyReaper) && state.row.phase == Phase::Open {
            actions.push(Action::Reap);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        self.step(&mut state, action);
        self.forget(&mut state);
        state.slots.sort_unstable();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Checkout {
    /// Gives the first free gateway its work.
    pub(crate) fn occupy(state: &mut State, work: Slot) {
        if let Some(free) = state.slots.iter_mut().find(|slot| **slot == Slot::Free) {
            *free = work;
        }
    }

    /// The provider answers a gateway; what proves nothing leaves it with nothing.
    pub(crate) fn answered(answer: Option<Answer>, op: Op) -> Slot {
        answer.map_or(Slot::Free, |answer| Slot::Answered(op, answer))
    }
}
