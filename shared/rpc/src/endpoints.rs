//! The nodes of one family as a caller sees them: who is a member, who is ready, who is busy.
//!
//! A background task reads the members and probes each one's readiness. A call picks the less busy of two random ready
//! nodes it has not tried yet (the power of two choices, Mitzenmacher 2001): nearly as even as asking all, and without
//! the herd that "the least busy" makes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use runtime::Seams;

use crate::{Discovery, Transport};

/// How often readiness is probed.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// A node that answers no sooner is not ready; it may be paused.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// One node.
#[derive(Debug)]
pub struct Endpoint {
    /// Its `host:port`.
    pub address: String,
    in_flight: AtomicUsize,
    ready: AtomicBool,
}

impl Endpoint {
    fn new(address: String) -> Self {
        // Ready until proved otherwise: a client that has not probed yet should try, not refuse.
        Self { address, in_flight: AtomicUsize::new(0), ready: AtomicBool::new(true) }
    }

    /// Whether the last probe or call found it willing.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Out of use until a probe says otherwise.
    pub(crate) fn suspect(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }
}

/// One call on its way; counts until dropped, also when the caller gives up.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The members of a family.
#[derive(Debug)]
pub(crate) struct Endpoints {
    discovery: Discovery,
    /// The caller's own address, when it calls its own family.
    except: Option<String>,
    list: ArcSwap<Vec<Arc<Endpoint>>>,
}

impl Endpoints {
    pub(crate) fn new(discovery: Discovery, except: Option<String>) -> Self {
        let endpoints = Self { discovery, except, list: ArcSwap::from_pointee(Vec::new()) };
        if let Discovery::Static(list) = &endpoints.discovery {
            endpoints.update(list.iter().cloned().collect());
        }
        endpoints
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.list.load_full()
    }

    /// The less busy of two random nodes: ready ones not tried yet, else any not tried yet, else any ready one.
    pub(crate) fn choose(&self, tried: &[Arc<Endpoint>], seams: &Seams) -> Option<Arc<Endpoint>> {
        let list = self.list.load();
        let untried = |endpoint: &&Arc<Endpoint>| !tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        let ready_untried: Vec<_> = list.iter().filter(|endpoint| endpoint.is_ready()).filter(untried).collect();
        if !ready_untried.is_empty() {
            return less_busy(&ready_untried, seams);
        }
        let any_untried: Vec<_> = list.iter().filter(untried).collect();
        if !any_untried.is_empty() {
            return less_busy(&any_untried, seams);
        }
        less_busy(&list.iter().collect::<Vec<_>>(), seams)
    }

    /// Reads the members once and keeps those known before (their counters too).
    pub(crate) async fn discover(&self) {
        match self.discovery.members().await {
            Ok(members) => self.update(members),
            Err(error) => tracing::warn!(%error, "members cannot be read; keeping those known"),
        }
    }

    /// Re-reads members and probes readiness for ever.
    pub(crate) async fn watch(self: Arc<Self>, transport: Arc<dyn Transport>) {
        loop {
            if !matches!(self.discovery, Discovery::Static(_)) {
                self.discover().await;
            }
            let list = self.all();
            let probes = list.iter().map(async |endpoint| {
                let probe = tokio::time::timeout(PROBE_TIMEOUT, transport.probe(&endpoint.address));
                endpoint.ready.store(probe.await.unwrap_or(false), Ordering::Relaxed);
            });
            join_all(probes).await;
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    fn update(&self, members: BTreeSet<String>) {
        let known = self.list.load();
        let next: Vec<_> = members
            .into_iter()
            .filter(|address| self.except.as_ref() != Some(address))
            .map(|address| {
                let same = known.iter().find(|endpoint| endpoint.address == address);
                same.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(address)))
            })
            .collect();
        self.list.store(Arc::new(next));
    }
}

fn less_busy(candidates: &[&Arc<Endpoint>], seams: &Seams) -> Option<Arc<Endpoint>> {
    let count = u64::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
    let pick = |number: u64| usize::try_from(number).ok().and_then(|index| candidates.get(index)).copied();
    let first = seams.below(count);
    // The second is another one, whenever there is another.
    let second = (first + 1 + seams.below(count.saturating_sub(1))) % count;
    let (first, second) = (pick(first)?, pick(second)?);
    let busy = |endpoint: &Arc<Endpoint>| endpoint.in_flight.load(Ordering::Relaxed);
    Some(if busy(second) < busy(first) { second.clone() } else { first.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(addresses: &str) -> Endpoints {
        Endpoints::new(format!("static://{addresses}").parse().unwrap(), None)
    }

    #[test]
    fn a_second_attempt_goes_to_another_node() {
        let (endpoints, seams) = (endpoints("a:1,b:1"), Seams::system());
        for _ in 0..50 {
            let first = endpoints.choose(&[], &seams).unwrap();
            let second = endpoints.choose(std::slice::from_ref(&first), &seams).unwrap();
            assert_ne!(first.address, second.address);
        }
    }

    #[test]
    fn the_busy_node_of_two_is_spared_and_the_suspect_one_avoided() {
        let (endpoints, seams) = (endpoints("a:1,b:1"), Seams::system());
        let busy = endpoints.all()[0].clone();
        let in_flight = busy.begin();
        assert!((0..50).all(|_| endpoints.choose(&[], &seams).unwrap().address == "b:1"));
        drop(in_flight);
        endpoints.all()[1].suspect();
        assert!((0..50).all(|_| endpoints.choose(&[], &seams).unwrap().address == "a:1"));
    }
}
