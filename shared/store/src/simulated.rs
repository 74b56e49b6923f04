//! What the simulated stores of all services share: how a simulation makes a call to a store fail (T-1, T-2).
//!
//! The stores themselves live with their services, behind the feature `simulation`; each passes the conformance suite of
//! the real ones.

use std::sync::Arc;

use crate::StoreError;

/// What becomes of one call to a simulated store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// It works.
    #[default]
    None,
    /// It fails before anything is changed: [`StoreError::NotExecuted`].
    NotExecuted,
    /// Its commit is made and the answer to it lost (E13): [`StoreError::Unknown`].
    UnknownApplied,
    /// Its commit is lost before it is made: [`StoreError::Unknown`] too, and the caller cannot tell.
    UnknownNotApplied,
}

/// Decides the fate of each call, by the name of the store's method: `reserve`, `open`, `decide`, ... A simulation decides by
/// its seed, so that a run can be had again.
pub type Hook = Arc<dyn Fn(&'static str) -> Fault + Send + Sync>;

/// A hook under which everything works.
#[must_use]
pub fn no_faults() -> Hook {
    Arc::new(|_| Fault::None)
}

impl Fault {
    /// Runs the call's change, or not, and gives the answer that the caller sees. The change must be all of the call's
    /// effect: the lost answer of one that refuses is lost too.
    ///
    /// # Errors
    /// The one that this fault stands for, or the change's own.
    pub fn around<T>(self, change: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lost = || StoreError::Unknown("simulated: the answer to the commit was lost".to_owned());
        match self {
            Self::None => change(),
            Self::NotExecuted => Err(StoreError::NotExecuted("simulated: no connection".to_owned())),
            Self::UnknownApplied => change().and(Err(lost())),
            Self::UnknownNotApplied => Err(lost()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_is_known_and_does_what_it_says() {
        let run = |fault: Fault| {
            let mut changed = false;
            let answer = fault.around(|| {
                changed = true;
                Ok(7)
            });
            (answer, changed)
        };
        assert!(matches!(run(Fault::None), (Ok(7), true)));
        assert!(matches!(run(Fault::NotExecuted), (Err(StoreError::NotExecuted(_)), false)));
        assert!(matches!(run(Fault::UnknownApplied), (Err(StoreError::Unknown(_)), true)));
        assert!(matches!(run(Fault::UnknownNotApplied), (Err(StoreError::Unknown(_)), false)));
    }
}
