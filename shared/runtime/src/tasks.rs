//! Tasks that carry their span and are joined at shutdown. A bare `tokio::spawn` loses both, so it is banned.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

/// All tasks of one node, and the sign for them to end. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs work that outlives its caller: a client that hangs up does not cut it (IK-8).
    #[expect(clippy::disallowed_methods, reason = "this is the adapter: the span and the tracker are added here")]
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        tokio::spawn(self.tracker.track_future(work.in_current_span()))
    }

    /// Runs background work until shutdown; it is dropped at its next await then.
    pub fn spawn_until_stop(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        drop(self.spawn(async move {
            // Biased, here and elsewhere: a simulation that runs twice must choose alike.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        }));
    }

    /// Resolves when the node is told to end.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Tells every task to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for all tasks, at most this long; returns how many were still running.
    pub async fn join(&self, at_most: Duration) -> usize {
        self.tracker.close();
        let _ = tokio::time::timeout(at_most, self.tracker.wait()).await;
        self.tracker.len()
    }
}
