//! What a caller may learn: done, or one of three errors that say what may be done next.

use crate::{Operation, sessions::Never};

/// Why a call did not return a reply. The three arms are never merged: treating *unknown* as failure is the root of
/// duplicate charges, treating it as success the root of lost orders (SEM-2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<R> {
    /// The domain said no. Definite; nothing was changed; never resent.
    #[error("refused: {0:?}")]
    Refused(R),
    /// Provably nothing happened (never sent, shed, deadline over, not authorised): harmless to resend under any strategy.
    #[error("not executed: {0}")]
    NotExecuted(String),
    /// It may or may not have happened (timeout, reset, server error). What is allowed now, the strategy decides. Sticky:
    /// once a call was unknown, a later "not executed" does not make it known.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl<R> CallError<R> {
    /// Maps the refusal and keeps the other two arms as they are, for handlers that pass a callee's failure on.
    pub fn map_refusal<T>(self, map: impl FnOnce(R) -> T) -> CallError<T> {
        match self {
            Self::Refused(refusal) => CallError::Refused(map(refusal)),
            Self::NotExecuted(reason) => CallError::NotExecuted(reason),
            Self::Unknown(reason) => CallError::Unknown(reason),
        }
    }

    /// The label in metrics and logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::NotExecuted(_) => "not_executed",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl CallError<Never> {
    /// The same failure for an operation that has refusals, from a callee that has none.
    pub fn widen<R>(self) -> CallError<R> {
        self.map_refusal(|never| match never {})
    }
}

/// The outcome of an operation, for callers and handlers alike.
pub type Outcome<O> = Result<<O as Operation>::Reply, CallError<<O as Operation>::Refusal>>;
