//! One state of the whole: every owner's rows, what is under way between them, and who is at which step.

/// Most logic nodes; arrays have this length so that a state is copied without allocation.
pub(crate) const WORKERS_MAX: usize = 3;
/// Gateways that can be at work on a charge at once, of any payments nodes.
pub(crate) const SLOTS: usize = 2;
/// Pieces in stock at first: enough for a second checkout that should not be.
pub(crate) const STOCKED: u8 = 2;

/// An operation id: the number of the worker whose claim proposed it.
pub(crate) type Op = u8;

/// Where the one row of `orders.operations` stands. `accepted` and `needs_attention` are both `Open`: every guard of the
/// code accepts both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Unclaimed,
    Open,
    Completed,
    Declined,
    OutOfStock,
    Closed,
}

impl Phase {
    pub(crate) fn has_ended(self) -> bool {
        !matches!(self, Self::Unclaimed | Self::Open)
    }
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    Declined,
    OutOfStock,
    Closed,
}

impl Why {
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Declined => Phase::Declined,
            Self::OutOfStock => Phase::OutOfStock,
            Self::Closed => Phase::Closed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) phase: Phase,
    pub(crate) op: Op,
    /// Who holds the lease.
    pub(crate) driver: Option<u8>,
    /// The outbox holds the event of the end.
    pub(crate) event: bool,
    /// How often an order was recorded.
    pub(crate) orders: u8,
}

/// A logic node: which answer its driver waits for. The message itself is in [`State::sent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    Idle,
    Opening,
    Reserving(Op),
    Charging(Op),
    Completing(Op),
    Refusing(Op, Why),
}

impl Worker {
    pub(crate) fn drives(self) -> bool {
        !matches!(self, Self::Idle | Self::Opening)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reservation {
    None,
    Reserved,
    Released,
    Settled,
}

/// What the catalogue's ledger remembers as the answer to `reserve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reserved {
    Never,
    Yes,
    OutOfStock,
    Ended,
}

/// State of a row of `payments.charges`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Charge {
    None,
    Intended,
    Charged,
    Declined,
    Closed,
}

impl Charge {
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::None | Self::Intended)
    }
}

/// What the provider remembers of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Unseen,
    Charged,
    Declined,
}

/// Everything kept under one operation id, by owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ledgers {
    pub(crate) reservation: Reservation,
    pub(crate) reserved: Reserved,
    pub(crate) charge: Charge,
    /// Attempts not proved to have stayed with us.
    pub(crate) maybe_sent: u8,
    /// The amount of the intent is not the frozen one.
    pub(crate) repriced: bool,
    /// The provider: the operation's key, and a second one for the mutant that makes one.
    pub(crate) keys: [Key; 2],
    /// The provider: how often money was taken.
    pub(crate) charges: u8,
    /// Requests under way to the provider for whose answers nobody waits any more, by key.
    pub(crate) stray: [bool; 2],
}

/// A gateway at work on a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Slot {
    Free,
    /// The intent is committed, nothing is sent.
    Begun(Op, u8),
    /// The request is under way.
    Sent(Op, u8),
    /// The provider's answer is here and not recorded.
    Answered(Op, Answer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Answer {
    Charged,
    Declined,
    NotExecuted,
    Rejected,
}

/// A person at the needs-attention queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Person {
    Away,
    /// Has evidence that there is none and none can come.
    SawNone(Op),
}

/// The provider's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Clock {
    Open,
    /// `not_after` has passed.
    Over,
    /// The provider has forgotten its keys.
    Forgotten,
}

/// A request between our own tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    Open(u8),
    Reserve(Op),
    /// With the frozen amount, or another.
    Charge(Op, bool),
    Complete(Op),
    Refuse(Op, Why),
}

impl Message {
    pub(crate) fn bit(self) -> u32 {
        let at = match self {
            Self::Open(worker) => worker,
            Self::Reserve(op) => 3 + op,
            Self::Charge(op, repriced) => 6 + 2 * op + u8::from(repriced),
            Self::Complete(op) => 12 + op,
            Self::Refuse(op, why) => 15 + 3 * op + why as u8,
        };
        1 << at
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) requests_left: u8,
    pub(crate) sends_left: u8,
    /// The definite answer that the client has.
    pub(crate) acknowledged: Option<Phase>,
    pub(crate) row: Row,
    pub(crate) workers: [Worker; WORKERS_MAX],
    /// Requests that were sent, as bits. Each may arrive at any time from then on, any number of times or never: late,
    /// lost, doubled and reordered are all the same set.
    pub(crate) sent: u32,
    pub(crate) ledgers: [Ledgers; WORKERS_MAX],
    pub(crate) available: u8,
    pub(crate) reserved: u8,
    pub(crate) sold: u8,
    /// Another customer: 0 has not come, 1 holds all pieces, 2 has given them back.
    pub(crate) other: u8,
    /// Sorted, because gateways are alike.
    pub(crate) slots: [Slot; SLOTS],
    pub(crate) person: Person,
}

impl State {
    pub(crate) fn of(&self, op: Op) -> &Ledgers {
        &self.ledgers[usize::from(op)]
    }

    pub(crate) fn of_mut(&mut self, op: Op) -> &mut Ledgers {
        &mut self.ledgers[usize::from(op)]
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.sent |= message.bit();
    }

    pub(crate) fn was_sent(&self, message: Message) -> bool {
        self.sent & message.bit() != 0
    }

    /// Charges at the provider, of all ids together: they all stand for one key of the client.
    pub(crate) fn charges(&self) -> u8 {
        self.ledgers.iter().map(|ledgers| ledgers.charges).sum()
    }

    /// Whether a request to the provider is under way, or about to be.
    pub(crate) fn provider_call_under_way(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Begun(..) | Slot::Sent(..)))
            || self.ledgers.iter().any(|ledgers| ledgers.stray.contains(&true))
    }
}
