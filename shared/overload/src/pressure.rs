//! What a node's calls to other nodes tell about the load further in: how long they queued there, and how many were
//! refused for overload. Clients note it with every answer, the node's admission takes it every window, and so a full
//! service lowers what logic lets in, and a full logic what the frontend lets in, where saying no is cheapest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::Class;

/// The notes of one node since they were last taken; clones share them. One for all clients of a node, and so cheap that
/// every answer can be noted.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    queued_us: AtomicU64,
    refused: AtomicU64,
    refused_critical: AtomicU64,
}

/// What was noted between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PressureWindow {
    /// Calls that were answered, refused ones not among them.
    pub calls: u64,
    /// How long they stood in the callees' queues, on the mean.
    pub mean_queued: Duration,
    /// Calls refused for overload, those of class critical not among them.
    pub refused: u64,
    /// Calls of class critical refused for overload.
    pub refused_critical: u64,
}

impl Pressure {
    /// A call was answered, after it had stood this long in the callee's queue.
    pub fn note(&self, queued: Duration) {
        self.0.calls.fetch_add(1, Relaxed);
        if !queued.is_zero() {
            self.0.queued_us.fetch_add(u64::try_from(queued.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// A call was refused for overload. Critical ones are counted apart: they are let in by a limit of their own, and what
    /// browsing does to the callee must not close it.
    pub fn refused(&self, class: Class) {
        let count = if class == Class::Critical { &self.0.refused_critical } else { &self.0.refused };
        count.fetch_add(1, Relaxed);
    }

    /// What was noted since the last call of this. The figures are taken one after the other, so a note made meanwhile may
    /// be split between two windows: that moves one sample of a mean, and no refusal is lost.
    #[must_use]
    pub fn take(&self) -> PressureWindow {
        let (calls, queued_us) = (self.0.calls.swap(0, Relaxed), self.0.queued_us.swap(0, Relaxed));
        PressureWindow {
            calls,
            mean_queued: Duration::from_micros(queued_us / calls.max(1)),
            refused: self.0.refused.swap(0, Relaxed),
            refused_critical: self.0.refused_critical.swap(0, Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_was_noted_since_the_last() {
        let pressure = Pressure::default();
        let client = pressure.clone();
        client.note(Duration::ZERO);
        client.note(Duration::from_millis(30));
        client.refused(Class::Critical);
        client.refused(Class::Normal);
        client.refused(Class::Sheddable);
        let mean_queued = Duration::from_millis(15);
        assert_eq!(pressure.take(), PressureWindow { calls: 2, mean_queued, refused: 2, refused_critical: 1 });
        assert_eq!(pressure.take(), PressureWindow::default());
    }
}
