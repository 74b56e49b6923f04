//! Modelled nodes behind the real client, in paused time: so many places each, first come first served, and ways to be
//! unwell. What arrived where is counted.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contract::{AtLeastOnce, Family, NoKey, Operation};
use overload::Class;
use rpc::{Client, ClientOptions, Scope, TraceContext, Transport, TransportError, WireRequest, WireResponse};
use runtime::{Node, Seams, Secret, SeededRandom, SystemClock};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

/// A read that takes no argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Look {}

impl Operation for Look {
    const NAME: &'static str = "test.look";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "test";
    type Reply = u32;
    type Refusal = String;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}

/// Calls that a node works on at a time.
const PLACES: usize = 4;
/// What one takes, on the mean.
const WORK_MS: u64 = 20;

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// So many times slower than usual.
    Slow(u64),
    /// Answers at once that it does not know whether it did it.
    Failing,
    /// Answers at once that it does not take it.
    Shedding,
    /// Takes requests, and the connection breaks; says that it is ready.
    Breaking,
    /// Nobody listens there.
    Gone,
}

pub(crate) const WELL: State = State::Slow(1);

#[derive(Debug)]
struct House {
    state: State,
    arrived: u64,
    places: Arc<Semaphore>,
}

/// The nodes of one family.
#[derive(Debug)]
pub(crate) struct Town {
    houses: Mutex<BTreeMap<String, House>>,
    seams: Seams,
}

pub(crate) fn seeded(seed: u64) -> Seams {
    Seams { clock: Arc::new(SystemClock), random: Arc::new(SeededRandom::new(seed)) }
}

impl Town {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let house = || House { state: WELL, arrived: 0, places: Arc::new(Semaphore::new(PLACES)) };
        let houses = (0..count).map(|n| (format!("node:{n}"), house())).collect();
        Arc::new(Self { houses: Mutex::new(houses), seams: seeded(7) })
    }

    /// A caller of these nodes, and the node that it is.
    pub(crate) fn caller(self: &Arc<Self>) -> (Client, Node) {
        let node = Node::assemble("frontend", "1", seeded(1), Secret::new("the-cluster-secret").unwrap()).unwrap();
        let discovery = format!("static://{}", self.addresses().join(",")).parse().unwrap();
        (Client::new(&node, self.clone(), discovery, ClientOptions::default()), node)
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.houses.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn set(&self, address: &str, state: State) {
        self.houses.lock().unwrap().get_mut(address).unwrap().state = state;
    }

    pub(crate) fn set_all(&self, state: State) {
        self.houses.lock().unwrap().values_mut().for_each(|house| house.state = state);
    }

    /// Arrivals at one node since the last look, in percent of all, and how many all were; refused connections count.
    pub(crate) fn share(&self, address: &str) -> (f64, u64) {
        let mut houses = self.houses.lock().unwrap();
        let all: u64 = houses.values().map(|house| house.arrived).sum();
        let here = houses[address].arrived;
        houses.values_mut().for_each(|house| house.arrived = 0);
        (here as f64 * 100.0 / all.max(1) as f64, all)
    }

    async fn work(&self, address: &str) -> Result<WireResponse, TransportError> {
        let (state, places) = {
            let mut houses = self.houses.lock().unwrap();
            let house = houses.get_mut(address).unwrap();
            house.arrived += 1;
            (house.state, house.places.clone())
        };
        let answer = |status, outcome: &str| WireResponse {
            status,
            outcome: Some(outcome.to_owned()),
            ..WireResponse::default()
        };
        match state {
            State::Slow(times) => {
                let _place = places.acquire().await.unwrap();
                let work_ms = (WORK_MS / 2 + self.seams.below(WORK_MS)) * times;
                tokio::time::sleep(Duration::from_millis(work_ms)).await;
                Ok(WireResponse { status: 200, retry: true, body: "1".into(), ..WireResponse::default() })
            }
            State::Failing => Ok(answer(500, "unknown")),
            State::Shedding => Ok(WireResponse { overloaded: true, retry: true, ..answer(503, "not-executed") }),
            State::Breaking => Err(TransportError::Lost("told to break".to_owned())),
            State::Gone => Err(TransportError::NotSent("nobody listens there".to_owned())),
        }
    }
}

#[async_trait]
impl Transport for Town {
    async fn send(&self, address: &str, _: WireRequest) -> Result<WireResponse, TransportError> {
        self.work(address).await
    }

    async fn probe(&self, address: &str) -> bool {
        self.houses.lock().unwrap()[address].state != State::Gone
    }
}

/// How the calls of some time went.
#[derive(Debug, Default)]
pub(crate) struct Went {
    pub(crate) calls: usize,
    pub(crate) good: usize,
    /// Of the good ones, sorted.
    pub(crate) took: Vec<Duration>,
}

impl Went {
    pub(crate) fn p99_ms(&self) -> u128 {
        self.took[self.took.len() * 99 / 100].as_millis()
    }
}

/// Makes so many calls a second for so long, whatever becomes of them, and waits for all.
pub(crate) async fn offer<F>(rate: u32, lasting: Duration, call: impl Fn(u32) -> F) -> Went
where
    F: Future<Output = bool> + Send + 'static,
{
    let (started, mut calls) = (Instant::now(), JoinSet::new());
    let count = rate * u32::try_from(lasting.as_secs()).unwrap();
    for number in 0..count {
        tokio::time::sleep_until(started + Duration::from_secs(number.into()) / rate).await;
        let call = call(number);
        calls.spawn(async move {
            let began = Instant::now();
            (call.await, began.elapsed())
        });
    }
    let ended = calls.join_all().await;
    let mut took: Vec<_> = ended.iter().filter(|(is_good, _)| *is_good).map(|(_, took)| *took).collect();
    took.sort();
    Went { calls: ended.len(), good: took.len(), took }
}

/// Calls by the client, each with two seconds' time.
pub(crate) async fn customers(client: &Client, class: Class, rate: u32, seconds: u64) -> Went {
    offer(rate, Duration::from_secs(seconds), |_| {
        let client = client.clone();
        let scope = Scope::new(Duration::from_secs(2), TraceContext::start(&seeded(2))).of(class);
        scope.run(async move { client.call(&Look {}, NoKey).await.is_ok() })
    })
    .await
}
