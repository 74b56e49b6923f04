//! What the payments' back end must remember. `conformance.rs` is the same as a test suite.
//!
//! Here are the charges; `refunds` holds what goes back, `shares` who may call the provider.

use std::{fmt, ops::Deref, sync::Arc};

use async_trait::async_trait;
use contract::{
    DataSet, Fingerprint, Money, Once, OperationId, ShareEverything, Upholds,
    payments::{Charge, ChargeRecord, ChargeStatus, CloseRefusal, Evidence},
};
use store::StoreError;

mod refunds;
mod shares;
#[cfg(feature = "simulation")]
mod simulated;
mod sql;

pub use refunds::{BeginRefund, RefundDecision, RefundStanding, RefundStore};
#[cfg(any(test, feature = "simulation"))]
pub(crate) use shares::Table;
pub use shares::{Ask, Leased, SHARE_PERMITS, ShareStore, shares_of};
pub(crate) use shares::{NodeRow, ShareRow, Verdict, judge, laid_out};
#[cfg(feature = "simulation")]
pub use simulated::SimulatedCharges;
pub use sql::SqlCharges;

/// What a checkout asks for. The same on every attempt, or the provider would take two keys' worth of meaning for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The checkout.
    pub operation: OperationId,
    /// How much.
    pub amount: Money,
    /// Of operation and token. Tells another token from the same one without keeping either; the operation in it keeps
    /// equal tokens of two checkouts apart.
    pub token_hash: Fingerprint,
    /// Unix milliseconds after which nothing is sent any more.
    pub not_after_ms: i64,
}

impl Intent {
    /// The intent of a request.
    #[must_use]
    pub fn of(charge: &Charge) -> Self {
        let token_hash = Fingerprint::of(format!("{} {}", charge.operation, charge.token.0).as_bytes());
        let Charge { operation, amount, not_after_ms, .. } = *charge;
        Self { operation, amount, token_hash, not_after_ms }
    }
}

/// What became of a charge, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Money was taken, once.
    Charged {
        /// The provider's name for it.
        provider_id: String,
    },
    /// The provider said no, and will never execute it.
    Declined {
        /// The provider's code.
        code: String,
    },
}

impl From<Decision> for ChargeStatus {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Charged { provider_id } => Self::Charged { provider_id },
            Decision::Declined { code } => Self::Declined { code },
        }
    }
}

/// How a checkout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing definite is known.
    Open,
    /// It is over.
    Decided(Decision),
    /// It was closed: nothing may be sent for it.
    Closed,
    /// It asked for something else before: a bug in the caller.
    OtherIntent,
}

/// Whether a charge may be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Yes, and the attempt is on record as one that may have reached the provider.
    Send,
    /// No: by the database's clock `not_after_ms` has passed. Only a look-up is left (CO-8).
    WindowOver,
    /// No: `not_after_ms` lies too far ahead, and nothing is on record for this checkout.
    WindowTooLong,
    /// No: it is decided, closed or another intent (never [`Standing::Open`]).
    Stands(Standing),
}

/// A charge that somebody has seen at the provider: a person, or the provider's own event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The checkout.
    pub operation: OperationId,
    /// The provider's name for the charge.
    pub provider_id: String,
    /// How much, where the source says so: it must be what was asked for (CO-13).
    pub amount: Option<Money>,
    /// Who has seen it, if a person.
    pub evidence: Option<Evidence>,
}

/// What a sighting changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighted {
    /// The charge was open and is recorded now.
    News,
    /// It was recorded before, under the same name.
    Known,
    /// Nothing was ever asked for under this checkout.
    NoIntent,
    /// It contradicts the record, which stands.
    Contradicts {
        /// How, for the operator.
        reason: String,
    },
}

/// One row as the reconciliation compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The checkout.
    pub operation: OperationId,
    /// What became of it; none as long as that is open.
    pub outcome: Option<Outcome>,
    /// How much was asked for; none on a mark that closes what never came.
    pub amount: Option<Money>,
    /// Whether it was paid back.
    pub refunded: bool,
    /// When the row changed last, by the database's clock.
    pub changed_at_ms: i64,
}

/// How a charge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Money was taken.
    Charged,
    /// The provider said no.
    Declined,
    /// It was closed.
    Closed,
}

/// Charges. Each method is one transaction.
#[async_trait]
pub trait ChargeStore: fmt::Debug + Send + Sync {
    /// How the checkout stands.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn look(&self, intent: &Intent) -> Result<Standing, StoreError>;

    /// Records, before the first byte goes out, that an attempt begins (CO-2). Refused once the checkout is decided or
    /// closed, so a close that was answered is never followed by a send. A first attempt is refused too if its
    /// `not_after_ms` lies more than `ahead_max_ms` ahead by the database's clock.
    ///
    /// # Errors
    /// [`StoreError`] of the back end; nothing may be sent then.
    async fn begin(&self, once: &Once, intent: &Intent, ahead_max_ms: i64) -> Result<Begin, StoreError>;

    /// Takes one attempt's record back: it provably never reached the provider.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn not_sent(&self, once: &Once, operation: OperationId) -> Result<(), StoreError>;

    /// Records that the provider refused one attempt as unusable. If no other attempt may have reached it, that decides:
    /// declined. Otherwise the attempt is taken back like one that was not sent, since an earlier one may have been
    /// taken. Returned is how the checkout stands now.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn reject(&self, once: &Once, intent: &Intent, code: &str) -> Result<Standing, StoreError>;

    /// Records what became of it. The first decision wins; returned is how the checkout stands now, which differs from
    /// `decision` when another came first.
    ///
    /// # Errors
    /// [`StoreError`] of the back end. The charge has happened or not all the same; it must not be read as "not
    /// executed".
    async fn decide(&self, once: &Once, intent: &Intent, decision: &Decision) -> Result<Standing, StoreError>;

    /// Leaves a mark that refuses every later charge of the checkout. Refused when money was taken, as long as the window
    /// is open for an attempt, and without evidence also if an attempt may have reached the provider (CO-22). Evidence
    /// that decided is kept.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn close(
        &self,
        operation: OperationId,
        evidence: Option<&Evidence>,
    ) -> Result<Result<(), CloseRefusal>, StoreError>;

    /// Records a charge that somebody has seen, by the same compare-and-set as the provider's answer (CO-18).
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn sight(&self, sighting: &Sighting) -> Result<Sighted, StoreError>;

    /// What is on record.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn inspect(&self, operation: OperationId) -> Result<Option<ChargeRecord>, StoreError>;

    /// Rows in order of their operation's text, beginning after one: a page of at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn page(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<Booked>, StoreError>;

    /// Unix milliseconds by the database's clock.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn now_ms(&self) -> Result<i64, StoreError>;
}

/// How a close must end, from what is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    Already,
    Refused(CloseRefusalKind),
    Close,
}

/// [`CloseRefusal`], small enough to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseRefusalKind {
    Charged,
    MayStillHappen,
}

impl From<CloseRefusalKind> for CloseRefusal {
    fn from(kind: CloseRefusalKind) -> Self {
        match kind {
            CloseRefusalKind::Charged => Self::Charged,
            CloseRefusalKind::MayStillHappen => Self::MayStillHappen,
        }
    }
}

/// Whether an open charge may be closed now. Time must have passed even for evidence: what is still allowed to happen at
/// the provider cannot have been ruled out by looking.
pub(crate) fn may_close(outcome: Option<Outcome>, maybe_sent: i64, window_over: bool, evidence: bool) -> Closing {
    match outcome {
        Some(Outcome::Closed | Outcome::Declined) => Closing::Already,
        Some(Outcome::Charged) => Closing::Refused(CloseRefusalKind::Charged),
        None if !window_over => Closing::Refused(CloseRefusalKind::MayStillHappen),
        None if maybe_sent > 0 && !evidence && !runtime::bug("close-while-maybe-sent") => {
            Closing::Refused(CloseRefusalKind::MayStillHappen)
        }
        None => Closing::Close,
    }
}

/// All that a back end of the payments does.
pub trait PaymentStore: ChargeStore + RefundStore + ShareStore {}

impl<T: ChargeStore + RefundStore + ShareStore> PaymentStore for T {}

/// The data set *charges*. A node that remembers its own charges only would let another take the money again, so a back
/// end that is not shared by every node cannot be opened as one: it does not compile (MEM-8).
#[derive(Clone, Debug)]
pub struct Charges(Arc<dyn PaymentStore>);

impl DataSet for Charges {
    const NAME: &'static str = "charges";
    type Sharing = ShareEverything;
}

impl Charges {
    /// The charges in this back end.
    pub fn open(store: impl PaymentStore + Upholds<<Self as DataSet>::Sharing> + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl Deref for Charges {
    type Target = dyn PaymentStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// One file opened by all payments nodes of a machine, or one server used by those of all machines.
impl Upholds<ShareEverything> for SqlCharges {}

/// What a sighting comes to, from what is on record; none if it must be recorded.
pub(crate) fn judge_sighting(
    outcome: Option<Outcome>,
    amount: Option<Money>,
    provider_id: Option<&str>,
    sighting: &Sighting,
) -> Option<Sighted> {
    let contradicts = |reason: &str| Some(Sighted::Contradicts { reason: reason.to_owned() });
    if sighting.amount.is_some() && amount.is_some() && sighting.amount != amount {
        return contradicts("another amount was asked for");
    }
    match outcome {
        None => None,
        Some(Outcome::Charged) if provider_id == Some(&sighting.provider_id) => Some(Sighted::Known),
        Some(Outcome::Charged) => contradicts("it is recorded as charged under another name"),
        Some(Outcome::Declined) => contradicts("it is recorded as declined"),
        Some(Outcome::Closed) => contradicts("it was closed without a charge"),
    }
}

/// Why a charge is pending of which nothing else can be said.
pub(crate) const NOTHING_KNOWN: &str = "nothing definite is known";

/// An open charge as it is shown to people.
pub(crate) fn open() -> ChargeStatus {
    ChargeStatus::Pending { reason: NOTHING_KNOWN.to_owned(), retry_after_ms: 0 }
}

/// What people said about a charge and its refund, for one line of a report.
pub(crate) fn note_of(charge: Option<(String, String)>, refund: Option<(String, String)>) -> Option<String> {
    let said: Vec<_> = [charge, refund].into_iter().flatten().map(|(who, why)| format!("{who}: {why}")).collect();
    (!said.is_empty()).then(|| said.join("; "))
}
