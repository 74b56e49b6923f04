//! Bodies that come slowly hold a place under work and do nothing with it. Only a part of the places may be held so: a few
//! hundred clients that send a byte a second would close the shop otherwise, though each keeps its deadline.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::metrics::Counter;
use overload::Admission;
use runtime::Node;

use crate::problem::{Kind, Problem, RETRY_AFTER_S};

/// A body that takes longer than this is slow. Ours fit into a packet or two.
pub(crate) const AFTER: Duration = Duration::from_millis(50);
/// Part of the places under work that may wait for slow bodies, and the fewest.
const PART: u32 = 4;
const LEAST: usize = 4;

tokio::task_local! {
    static CURRENT: SlowBodies;
}

/// The slow bodies of one node; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct SlowBodies {
    admission: Admission,
    reading: Arc<AtomicUsize>,
    refused: Counter<u64>,
}

impl SlowBodies {
    pub(crate) fn new(node: &Node) -> Self {
        let refused = node
            .metrics
            .meter()
            .u64_counter("trestle_slow_bodies_refused")
            .with_description("requests refused because their bodies came slowly while too many others did")
            .build();
        Self { admission: node.admission.clone(), reading: Arc::default(), refused }
    }

    /// Work in which bodies are read.
    pub(crate) async fn watch<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    fn most(&self) -> usize {
        if !self.admission.limits().now().protection {
            return usize::MAX;
        }
        usize::try_from(self.admission.work_limit() / PART).unwrap_or(usize::MAX).max(LEAST)
    }
}

/// A place among the slow; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<AtomicUsize>>);

/// Takes a place among the slow.
pub(crate) fn enter() -> Result<Place, Problem> {
    let Ok(slow) = CURRENT.try_with(Clone::clone) else { return Ok(Place(None)) };
    if slow.reading.fetch_add(1, Relaxed) >= slow.most() {
        slow.reading.fetch_sub(1, Relaxed);
        slow.refused.add(1, &[]);
        let busy = Problem::new(Kind::Busy, "the body comes slowly, and so do too many others");
        return Err(busy.retry_after_s(RETRY_AFTER_S));
    }
    Ok(Place(Some(slow.reading)))
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(reading) = &self.0 {
            reading.fetch_sub(1, Relaxed);
        }
    }
}
