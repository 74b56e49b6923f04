//! Tasks that carry their span and are joined at shutdown. A bare `tokio::spawn` loses both, so it is banned.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

/// All tasks of one node, and the two signs for them to end: first nothing of one's own is begun any more (draining), then
/// everything ends. Clones share all of it.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    drain: CancellationToken,
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

    /// The pause between two rounds of what a node does unasked; false when there shall be no further round, because the
    /// node drains (DR-1). A round that has begun goes on: what it claimed would wait for its lease to lapse otherwise.
    pub async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.drain.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Tells background work to begin nothing new; everything else goes on.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Whether the node has been told that it will end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves when the node is told to end.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Tells every task to end.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// How many tasks have been told to end and still run.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        if self.stop.is_cancelled() { self.tracker.len() } else { 0 }
    }

    /// Waits for all tasks, at most this long; returns how many were still running.
    pub async fn join(&self, at_most: Duration) -> usize {
        self.tracker.close();
        let _ = tokio::time::timeout(at_most, self.tracker.wait()).await;
        self.tracker.len()
    }
}
