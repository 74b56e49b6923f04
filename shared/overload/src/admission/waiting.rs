//! Waiting in a queue for a verdict, and leaving it by hanging up.

use std::future::Future;

use tokio::{sync::oneshot, time::Instant};

use super::{Admission, Permit, Refused};
use crate::{Class, lane::Which, queue::Ticket, tally::Outcome};

/// A request in the queue. Dropped, it leaves.
#[derive(Debug)]
pub struct Waiting {
    pub(super) verdict: oneshot::Receiver<Result<Permit, Refused>>,
    pub(super) until: Instant,
    pub(super) late: bool,
    pub(super) place: Place,
}

impl Waiting {
    /// What comes of it, within the age limit of the queue.
    ///
    /// # Errors
    /// When it is refused.
    pub fn verdict(self) -> impl Future<Output = Result<Permit, Refused>> + Send {
        let Self { mut verdict, until, late, place } = self;
        async move {
            let said = match tokio::time::timeout_at(until, &mut verdict).await {
                Ok(said) => said,
                Err(_elapsed) if place.leave() => Ok(Err(if late { Refused::Late } else { Refused::Aged })),
                // Taken out of the queue this moment: what was decided is being said.
                Err(_elapsed) => (&mut verdict).await,
            };
            // The sender is never dropped in silence.
            let verdict = said.unwrap_or(Err(Refused::Full));
            place.told(verdict.as_ref().err().copied());
            verdict
        }
    }
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) admission: Admission,
    pub(super) class: Class,
    pub(super) ticket: Ticket,
}

impl Place {
    /// False when it is out already, with a verdict.
    fn leave(&self) -> bool {
        let inner = &*self.admission.0;
        let (which, settings) = (Which::of(self.class), inner.limits.now());
        let lane = inner.lane(which);
        let mut state = lane.lock();
        let discipline = lane.discipline(&settings.admission, state.limit.now(which.bounds(&settings.admission)));
        state.queue.remove(Instant::now(), discipline, self.ticket).is_some()
    }

    /// The verdict is there.
    fn told(&self, refused: Option<Refused>) {
        if let Some(why) = refused {
            self.admission.0.tally.count(self.class, why.outcome());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only who hangs up while queued is still in the queue here.
        if self.leave() {
            self.admission.0.tally.count(self.class, Outcome::Gone);
        }
    }
}
