//! The network between the processes: attempts are refused, lost on the way there, lost on the way back, late, or
//! delivered twice; processes die, stand still and come back at the same address.
//!
//! A process is cut off from the world the moment it dies: nothing that it still computes can reach a store of its own
//! family (the hook of its store fails), another process, or the provider (its calls never return). So dying here is dying
//! at the last thing it did to the world, which is every place where dying could make a difference.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rpc::{InProcess, OpServer, Transport, TransportError, WireRequest, WireResponse};
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{chance::Chance, counts::Counts};

/// How late a message may come.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(9);

/// One life of one process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: String,
    dead: CancellationToken,
    is_paused: AtomicBool,
    /// Not a `watch` channel: that one wakes its waiters in random order, and a seed would not repeat.
    resumed: Notify,
}

impl Process {
    pub(crate) fn new(address: &str) -> Arc<Self> {
        let (dead, is_paused, resumed) = (CancellationToken::new(), AtomicBool::new(false), Notify::new());
        Arc::new(Self { address: address.to_owned(), dead, is_paused, resumed })
    }

    pub(crate) fn die(&self) {
        self.dead.cancel();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    pub(crate) fn pause(&self, yes: bool) {
        self.is_paused.store(yes, Ordering::Relaxed);
        self.resumed.notify_waiters();
    }

    fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Lets the living pass; holds the paused until they go on, and the dead for ever.
    pub(crate) async fn gate(&self) {
        while self.is_paused() {
            // Nothing runs between the look and the wait: one thread.
            self.resumed.notified().await;
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

/// How bad the network is, in thousandths of all attempts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) refused: u64,
    pub(crate) request_lost: u64,
    pub(crate) reply_lost: u64,
    pub(crate) late: u64,
    pub(crate) twice: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    Refused,
    RequestLost,
    ReplyLost,
    Late,
    Twice,
}

/// All processes by address.
#[derive(Debug)]
pub(crate) struct Network {
    chance: Arc<Chance>,
    counts: Arc<Counts>,
    weather: Mutex<Weather>,
    nodes: Mutex<BTreeMap<String, (Arc<Process>, InProcess)>>,
    attempts: AtomicU64,
}

impl Network {
    pub(crate) fn new(chance: Arc<Chance>, counts: Arc<Counts>) -> Arc<Self> {
        let (weather, nodes) = (Mutex::default(), Mutex::default());
        Arc::new(Self { chance, counts, weather, nodes, attempts: AtomicU64::new(0) })
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    pub(crate) fn add(&self, process: &Arc<Process>, server: OpServer) {
        let node = InProcess::default();
        node.add(&process.address, server);
        self.nodes.lock().unwrap().insert(process.address.clone(), (process.clone(), node));
    }

    /// Forgets every node at the end of a run: nodes hold the network to call each other, and would never be freed.
    pub(crate) fn close(&self) {
        self.nodes.lock().unwrap().clear();
    }

    pub(crate) fn process(&self, address: &str) -> Option<Arc<Process>> {
        self.nodes.lock().unwrap().get(address).map(|(process, _)| process.clone())
    }

    pub(crate) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// The way out of one process.
    pub(crate) fn from(self: &Arc<Self>, process: &Arc<Process>) -> Arc<dyn Transport> {
        Arc::new(Wire { network: self.clone(), process: process.clone() })
    }

    fn node(&self, address: &str) -> Option<(Arc<Process>, InProcess)> {
        self.nodes.lock().unwrap().get(address).filter(|(process, _)| !process.is_dead()).cloned()
    }

    fn fate(&self) -> Fate {
        let weather = *self.weather.lock().unwrap();
        let mut dice = self.chance.below(1_000);
        for (share, fate) in [
            (weather.refused, Fate::Refused),
            (weather.request_lost, Fate::RequestLost),
            (weather.reply_lost, Fate::ReplyLost),
            (weather.late, Fate::Late),
            (weather.twice, Fate::Twice),
        ] {
            if dice < share {
                return fate;
            }
            dice -= share;
        }
        Fate::Fine
    }

    async fn delay(&self) {
        sleep(Duration::from_micros(self.chance.between(50, 2_000))).await;
    }
}

#[derive(Clone, Debug)]
struct Wire {
    network: Arc<Network>,
    process: Arc<Process>,
}

impl Wire {
    /// Works on its own: a caller that has gone does not take a request back that is under way.
    #[expect(clippy::disallowed_methods, reason = "the network belongs to no node")]
    fn deliver(&self, address: &str, request: WireRequest, after: Duration) -> tokio::task::JoinHandle<Answer> {
        let (network, address) = (self.network.clone(), address.to_owned());
        tokio::spawn(async move {
            sleep(after).await;
            network.delay().await;
            let Some((process, node)) = network.node(&address) else {
                return Err(TransportError::NotSent("nobody listens there".to_owned()));
            };
            process.gate().await;
            let answer = tokio::select! {
                biased;
                () = process.dead.cancelled() => Err(lost("connection reset")),
                answer = node.send(&address, request) => answer,
            };
            network.delay().await;
            answer
        })
    }
}

type Answer = Result<WireResponse, TransportError>;

#[async_trait]
impl Transport for Wire {
    async fn send(&self, address: &str, request: WireRequest) -> Answer {
        self.process.gate().await;
        let (network, now) = (&self.network, Duration::ZERO);
        network.attempts.fetch_add(1, Ordering::Relaxed);
        let fate = network.fate();
        network.chance.note(&format!("{} -> {address} {} {fate:?}", self.process.address, request.operation));
        network.counts.network(fate as usize);
        let answer = match fate {
            Fate::Fine => joined(self.deliver(address, request, now)).await,
            Fate::Refused => Err(TransportError::NotSent("connection refused".to_owned())),
            Fate::RequestLost => self.silence("the request").await,
            Fate::ReplyLost => {
                let _ = joined(self.deliver(address, request, now)).await;
                self.silence("the reply").await
            }
            Fate::Late => {
                let late = Duration::from_millis(network.chance.between(500, LATE_MAX.as_millis() as u64));
                drop(self.deliver(address, request, late));
                self.silence("the request, for now,").await
            }
            Fate::Twice => {
                let again = Duration::from_millis(network.chance.between(0, 4_000));
                drop(self.deliver(address, request.clone(), again));
                joined(self.deliver(address, request, now)).await
            }
        };
        self.process.gate().await;
        answer
    }

    async fn probe(&self, address: &str) -> bool {
        match self.network.node(address) {
            Some((process, node)) if !process.is_paused() => node.probe(address).await,
            _ => false,
        }
    }
}

impl Wire {
    /// Either the connection breaks, or nothing is heard until the caller's patience ends.
    async fn silence(&self, what: &str) -> Answer {
        if self.network.chance.permille(500) {
            sleep(Duration::from_secs(60)).await;
        }
        Err(lost(&format!("{what} was lost")))
    }
}

fn lost(reason: &str) -> TransportError {
    TransportError::Lost(reason.to_owned())
}

async fn joined(delivery: tokio::task::JoinHandle<Answer>) -> Answer {
    delivery.await.unwrap_or_else(|error| Err(lost(&error.to_string())))
}
