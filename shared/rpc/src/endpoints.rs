//! The nodes of one family as a caller sees them: who is a member, who is ready, who is busy, slow or failing.
//!
//! A background task reads the members and probes each one's readiness. A call picks the cheaper of two random ready
//! nodes it has not tried yet (the power of two choices, Mitzenmacher 2001): nearly as even as asking all, and without
//! the herd that "the cheapest" makes. What a node costs and whether it is left alone is `overload`'s business; here is
//! who is asked when not everybody is well.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use overload::{Breaker, Change, ClientSettings, Ended, Gate, Slowness};
use runtime::Seams;
use tokio::time::Instant;

use crate::{Discovery, Transport};

/// How often readiness is probed.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// A node that answers no sooner is not ready; it may be paused.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// By then every caller knows that a node drains: two rounds of probes, in each of which some other node is silent (DR-2).
/// Callers do not tell each other. A node that still takes work for this long loses no call.
pub const DRAIN_SEEN_WITHIN: Duration = Duration::from_millis(1_500);
const _: () = assert!(DRAIN_SEEN_WITHIN.as_millis() >= 2 * (PROBE_EVERY.as_millis() + PROBE_TIMEOUT.as_millis()));
const _: () = assert!(Duration::from_secs(runtime::DRAIN_DELAY_S).as_millis() > DRAIN_SEEN_WITHIN.as_millis());

/// One node.
#[derive(Debug)]
pub struct Endpoint {
    /// Its `host:port`.
    pub address: String,
    in_flight: AtomicU32,
    ready: AtomicBool,
    record: Mutex<Record>,
}

/// How it did of late.
#[derive(Debug)]
struct Record {
    breaker: Breaker,
    slowness: Slowness,
}

/// What one call says about the node that it went to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It did its work, in so many times the usual time.
    Good(f64),
    /// It did not in what little time it was given.
    Late(f64),
    /// It did not.
    Failed,
    /// It sheds, which is right; but others may have room.
    Shed,
    /// Nothing: the reason lies elsewhere.
    Nothing,
}

impl Endpoint {
    fn new(address: String) -> Self {
        let now = Instant::now();
        let record = Mutex::new(Record { breaker: Breaker::new(now), slowness: Slowness::new(now) });
        // Ready until proved otherwise: a client that has not probed yet should try, not refuse.
        Self { address, in_flight: AtomicU32::new(0), ready: AtomicBool::new(true), record }
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

    pub(crate) fn is_closed(&self) -> bool {
        self.record().breaker.is_closed()
    }

    /// The state of its breaker, as in metrics.
    pub(crate) fn breaker_level(&self) -> u64 {
        self.record().breaker.level()
    }

    /// How slow it was of late, times what a further call would make be under way to it.
    pub(crate) fn cost(&self, now: Instant) -> f64 {
        self.record().slowness.now(now) * f64::from(self.busy().saturating_add(1))
    }

    pub(crate) fn begin(self: &Arc<Self>, began: Instant) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight { endpoint: self.clone(), began }
    }

    fn busy(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call on its way; counts until dropped, also when the caller gives up.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) began: Instant,
}

impl Flight {
    /// It has ended. Whoever drops it without this says nothing about the node.
    pub(crate) fn settle(&self, settings: &ClientSettings, verdict: Verdict, seams: &Seams) -> Option<Change> {
        let (now, mut record) = (Instant::now(), self.endpoint.record());
        match verdict {
            Verdict::Good(slowness) | Verdict::Late(slowness) => record.slowness.heard(settings, slowness, now),
            Verdict::Failed => record.slowness.failed(settings, now),
            Verdict::Shed => record.slowness.refused(settings, now),
            Verdict::Nothing => {}
        }
        if matches!(verdict, Verdict::Late(_) | Verdict::Shed | Verdict::Nothing) {
            return None;
        }
        let is_good = verdict != Verdict::Failed;
        let jitter = if is_good { 0 } else { u32::try_from(seams.below(1_000)).unwrap_or_default() };
        let change = record.breaker.record(settings, Ended { began: self.began, now, is_good, jitter });
        if change == Some(Change::Closed) {
            // It was slow because it failed; that is over.
            record.slowness = Slowness::new(now);
        }
        change
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
        // Does nothing unless this was the trial, and ended without a verdict.
        self.endpoint.record().breaker.abandon(self.began, Instant::now());
    }
}

/// The members of a family.
#[derive(Debug)]
pub(crate) struct Endpoints {
    discovery: Discovery,
    /// The caller's own address, when it calls its own family.
    except: Option<String>,
    list: ArcSwap<Vec<Arc<Endpoint>>>,
    gate: Mutex<Gate>,
}

impl Endpoints {
    pub(crate) fn new(discovery: Discovery, except: Option<String>) -> Self {
        let gate = Mutex::new(Gate::new(Instant::now()));
        let endpoints = Self { discovery, except, list: ArcSwap::from_pointee(Vec::new()), gate };
        if let Discovery::Static(list) = &endpoints.discovery {
            endpoints.update(list.iter().cloned().collect());
        }
        endpoints
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.list.load_full()
    }

    /// The family's gate, which knows of every sign of life up to now.
    pub(crate) fn gate(&self) -> MutexGuard<'_, Gate> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if self.list.load().iter().any(|endpoint| endpoint.is_ready()) {
            gate.alive(Instant::now());
        }
        gate
    }

    /// The cheaper of two random nodes: healthy ones not tried yet, else ready ones not tried yet, else any not tried yet,
    /// else a tried one. A node whose breaker may close is tried by the first call that comes.
    pub(crate) fn choose(&self, tried: &[Arc<Endpoint>], seams: &Seams, is_protected: bool) -> Option<Flight> {
        let (list, now) = (self.list.load(), Instant::now());
        let is_new = |endpoint: &Arc<Endpoint>| !tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        let ready: Vec<_> = list.iter().filter(|endpoint| endpoint.is_ready()).collect();
        let mut healthy: Vec<_> = ready.clone();
        if is_protected {
            let is_trial = |endpoint: &&&Arc<Endpoint>| is_new(endpoint) && endpoint.record().breaker.take_trial(now);
            if let Some(trial) = ready.iter().find(is_trial) {
                return Some(trial.begin(now));
            }
            healthy.retain(|endpoint| endpoint.is_closed());
            if healthy.len() * 2 < ready.len() {
                // When most nodes fail, the cause is not the nodes, and the few others could not carry the load (Envoy's
                // panic threshold).
                healthy.clone_from(&ready);
            }
        }
        let new = |from: &[&Arc<Endpoint>]| from.iter().copied().filter(|one| is_new(one)).cloned().collect::<Vec<_>>();
        let all: Vec<_> = list.iter().collect();
        let cost = |endpoint: &Endpoint| match is_protected {
            true => endpoint.cost(now),
            false => f64::from(endpoint.busy()),
        };
        [new(&healthy), new(&ready), new(&all), healthy.into_iter().cloned().collect(), list.to_vec()]
            .iter()
            .find_map(|candidates| cheaper_of_two(candidates, cost, seams))
            .map(|endpoint| endpoint.begin(now))
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
            // Also when nobody calls: or the gate would take that for silence of the family.
            drop(self.gate());
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

fn cheaper_of_two<'a>(
    candidates: &'a [Arc<Endpoint>],
    cost: impl Fn(&Endpoint) -> f64,
    seams: &Seams,
) -> Option<&'a Arc<Endpoint>> {
    let count = u64::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
    let pick = |number: u64| usize::try_from(number).ok().and_then(|index| candidates.get(index));
    let first = seams.below(count);
    // The second is another one, whenever there is another.
    let second = (first + 1 + seams.below(count.saturating_sub(1))) % count;
    let (first, second) = (pick(first)?, pick(second)?);
    Some(if cost(second) < cost(first) { second } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(addresses: &str) -> Endpoints {
        Endpoints::new(format!("static://{addresses}").parse().unwrap(), None)
    }

    fn chosen(endpoints: &Endpoints, tried: &[Arc<Endpoint>]) -> Arc<Endpoint> {
        endpoints.choose(tried, &Seams::system(), true).unwrap().endpoint.clone()
    }

    fn fail(endpoint: &Arc<Endpoint>, times: usize) {
        for _ in 0..times {
            endpoint.begin(Instant::now()).settle(&ClientSettings::default(), Verdict::Failed, &Seams::system());
        }
    }

    #[test]
    fn a_second_attempt_goes_to_another_node() {
        let endpoints = endpoints("a:1,b:1");
        for _ in 0..50 {
            let first = chosen(&endpoints, &[]);
            let second = chosen(&endpoints, std::slice::from_ref(&first));
            assert_ne!(first.address, second.address);
        }
    }

    #[test]
    fn the_busy_node_of_two_is_spared_and_the_suspect_one_avoided() {
        let endpoints = endpoints("a:1,b:1");
        let busy = endpoints.all()[0].begin(Instant::now());
        assert!((0..50).all(|_| chosen(&endpoints, &[]).address == "b:1"));
        drop(busy);
        endpoints.all()[1].suspect();
        assert!((0..50).all(|_| chosen(&endpoints, &[]).address == "a:1"));
    }

    #[test]
    fn the_slow_node_of_two_is_spared_as_if_it_were_busy() {
        let endpoints = endpoints("a:1,b:1");
        let settings = ClientSettings::default();
        let flight = endpoints.all()[0].begin(Instant::now());
        endpoints.all()[0].record().slowness = Slowness::new(Instant::now() - Duration::from_secs(1));
        assert_eq!(flight.settle(&settings, Verdict::Good(20.0), &Seams::system()), None);
        drop(flight);
        assert!((0..50).all(|_| chosen(&endpoints, &[]).address == "b:1"));
        let unprotected = || endpoints.choose(&[], &Seams::system(), false).unwrap().endpoint.address.clone();
        assert!((0..50).any(|_| unprotected() == "a:1"), "without protection only what is under way counts");
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_is_obeyed_until_one_trial_is_due_and_then_by_all_but_one() {
        let endpoints = endpoints("a:1,b:1,c:1");
        let broken = endpoints.all()[0].clone();
        fail(&broken, 7);
        assert!((0..50).all(|_| chosen(&endpoints, &[]).address != "a:1"));
        tokio::time::advance(Duration::from_millis(1_250)).await;
        let trial = endpoints.choose(&[], &Seams::system(), true).unwrap();
        assert_eq!(trial.endpoint.address, "a:1");
        assert!((0..50).all(|_| chosen(&endpoints, &[]).address != "a:1"), "one trial at a time");
        drop(trial);
        let trial = endpoints.choose(&[], &Seams::system(), true).unwrap();
        assert_eq!(trial.endpoint.address, "a:1", "one that was given up decides nothing");
        let change = trial.settle(&ClientSettings::default(), Verdict::Good(1.0), &Seams::system());
        assert_eq!((change, broken.is_closed()), (Some(Change::Closed), true));
        assert!(broken.cost(Instant::now()) < 2.1, "and is as good as new");
    }

    #[test]
    fn when_most_nodes_fail_breakers_are_not_obeyed() {
        let endpoints = endpoints("a:1,b:1,c:1");
        fail(&endpoints.all()[0], 7);
        fail(&endpoints.all()[1], 7);
        let _busy: Vec<_> = (0..200).map(|_| endpoints.all()[2].begin(Instant::now())).collect();
        assert!((0..50).any(|_| chosen(&endpoints, &[]).address != "c:1"), "the last one is not left with everything");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_sheds_is_asked_less_and_not_left_alone() {
        let endpoints = endpoints("a:1,b:1");
        let shedding = endpoints.all()[0].clone();
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(20)).await;
            let flight = shedding.begin(Instant::now());
            assert_eq!(flight.settle(&ClientSettings::default(), Verdict::Shed, &Seams::system()), None);
        }
        assert!(shedding.is_closed());
        let _busy: Vec<_> = (0..2).map(|_| endpoints.all()[1].begin(Instant::now())).collect();
        assert!(
            (0..50).all(|_| chosen(&endpoints, &[]).address == "b:1"),
            "it seems to have nothing to do, and is full"
        );
        let _busy: Vec<_> = (0..4).map(|_| endpoints.all()[1].begin(Instant::now())).collect();
        assert!((0..50).any(|_| chosen(&endpoints, &[]).address == "a:1"));
    }
}
