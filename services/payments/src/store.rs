//! What the charges' back end must remember. `conformance.rs` is the same as a test suite.

use std::{fmt, ops::Deref, sync::Arc};

use async_trait::async_trait;
use contract::{
    DataSet, Fingerprint, Money, Once, OperationId, ShareEverything, Upholds,
    payments::{Charge, ChargeStatus, CloseRefusal},
};
use store::StoreError;

mod sqlite;

pub use sqlite::SqliteCharges;

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
    /// No: it is decided, closed or another intent (never [`Standing::Open`]).
    Stands(Standing),
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
    /// closed, so a close that was answered is never followed by a send.
    ///
    /// # Errors
    /// [`StoreError`] of the back end; nothing may be sent then.
    async fn begin(&self, once: &Once, intent: &Intent) -> Result<Begin, StoreError>;

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

    /// Leaves a mark that refuses every later charge of the checkout. Refused when money was taken, and as long as some
    /// could be: an attempt may have reached the provider, or the window is still open for one.
    ///
    /// # Errors
    /// [`StoreError`] of the back end.
    async fn close(&self, operation: OperationId) -> Result<Result<(), CloseRefusal>, StoreError>;
}

/// The data set *charges*. A node that remembers its own charges only would let another take the money again, so a back
/// end that is not shared by every node cannot be opened as one: it does not compile (MEM-8).
#[derive(Clone, Debug)]
pub struct Charges(Arc<dyn ChargeStore>);

impl DataSet for Charges {
    const NAME: &'static str = "charges";
    type Sharing = ShareEverything;
}

impl Charges {
    /// The charges in this back end.
    pub fn open(store: impl ChargeStore + Upholds<<Self as DataSet>::Sharing> + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl Deref for Charges {
    type Target = dyn ChargeStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// One file, opened by all payments nodes of a machine.
impl Upholds<ShareEverything> for SqliteCharges {}
