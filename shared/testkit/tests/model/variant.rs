//! What is checked: the world around the protocol, and the one rule that a mutant breaks.

/// The size of the space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Logic nodes that drive.
    pub(crate) workers: u8,
    /// How often the client sends its request, the first time included.
    pub(crate) requests: u8,
    /// Sends to the provider, of all gateways together.
    pub(crate) sends: u8,
}

/// When the provider may forget the keys it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgets {
    /// Whenever its window is over: a process of ours may have stood still for longer than that.
    Anytime,
    /// Not while a request is under way: CO-8's margin is larger than any pause and any request's life.
    NothingUnderWay,
    /// Not before each charge is recorded by us, though requests may come later still.
    AllRecorded,
}

/// What can be relied on outside the shop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// The provider takes a reference only once, for ever (CO-10).
    pub(crate) reference: bool,
    /// The provider refuses a first execution after `not_after` (CO-9).
    pub(crate) not_after: bool,
    /// "Too late" is read as "never charged"; else it proves nothing.
    pub(crate) too_late_declines: bool,
    /// When keys are forgotten.
    pub(crate) forgets: Forgets,
    /// A take-over waits for the lease to lapse. Without, any node may drive at any time.
    pub(crate) lease: bool,
}

/// The provider as the shop expects it.
pub(crate) const FULL: World =
    World { reference: true, not_after: true, too_late_declines: true, forgets: Forgets::Anytime, lease: true };
/// A provider that offers nothing but keys for a day.
pub(crate) const WEAK: World = World { reference: false, not_after: false, forgets: Forgets::NothingUnderWay, ..FULL };

/// The rule that is broken; `None` is the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// A charge that was not answered in time is stored as declined.
    TimeoutFinal,
    /// `complete` and `refuse` do not look at the state.
    NoGuard,
    /// A look-up without a find ends the checkout.
    NotFoundAbandons,
    /// The window is not looked at before a send.
    ResendAfterExpiry,
    /// Each attempt has a provider key of its own.
    KeyPerAttempt,
    /// Old rows are deleted, ended or not.
    GreedyReaper,
    /// A release without a reservation leaves no mark.
    ReleaseWithoutMark,
    /// A close leaves no mark.
    CloseWithoutMark,
    /// A person's "not charged" skips `payments.close`.
    RefuseWithoutClose,
    /// `payments.close` does not look at what may have been sent.
    CloseMaybeSent,
    /// `payments.close` does not wait for `not_after` when nothing was sent: harmless, because a send must begin with a row
    /// that is not closed. The rule is a second line of defence.
    CloseEarly,
    /// Stock is settled once the money is there, before the order is recorded.
    SettleBeforeComplete,
    /// Stock is settled as soon as it is reserved.
    SettleBeforeCharge,
    /// A later decision of a charge replaces the first.
    DecideOverwrites,
    /// `reserve` does not see that the operation has ended.
    ReserveAfterRelease,
    /// Out of stock is not remembered, so that a repeat may get another answer.
    OutOfStockForgotten,
    /// Who lost the claim drives under the id of its own proposal.
    LoserDrives,
    /// Who takes over reads the prices again.
    ResumeReprices,
    /// The intent is written after the send.
    IntentAfterSend,
    /// An attempt without an answer is taken back like one that was not sent.
    UnknownTakenBack,
    /// A rejected attempt decides although another may have been taken.
    RejectDecides,
    /// The client is told before the order is recorded.
    AnswerBeforeComplete,
    /// An event is forgotten before its consumer has it.
    AckBeforeDelivery,
    /// The outbox is not written in the transaction that ends the checkout but after it.
    OutboxApart,
    /// Nobody but the client takes a lapsed checkout up.
    NoCompleter,
}

/// One run of the checker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    pub(crate) mutant: Mutant,
    /// The properties that must be violated; none when all must hold.
    pub(crate) caught_by: &'static [&'static str],
}
