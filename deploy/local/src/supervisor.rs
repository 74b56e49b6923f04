//! Keeps the nodes running: one task for each, on one thread.
//!
//! One thread is a choice. The kernel ties a node's life to the thread that started it, and a process id is safe to
//! signal only until the process's end is collected: on one thread, collecting the end and forgetting the id are one
//! step that nothing can come between.

mod child;
mod faults;
mod policy;

use std::{
    convert::Infallible,
    future::Future,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::Family;
use runtime::{EXIT_CUT_OFF, Secret, Tasks};
use rustix::process::Signal;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    control::{Action, NodeStatus, State},
    faults::FaultBook,
    output,
    plan::{DataDir, NodePlan},
};
use policy::Restarts;

/// How often a node that is not ready is asked whether it is.
const PROBE_SOON: Duration = Duration::from_millis(50);
/// How often a ready node is asked.
const PROBE_LATER: Duration = Duration::from_millis(250);
/// A node that answers no sooner is not ready.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A node that gives up this soon after its first start has an option it cannot use or a port it cannot have.
const FIRST_START: Duration = Duration::from_secs(2);
/// Most time for the effect of a signal to be seen.
const SIGNAL_EFFECT: Duration = Duration::from_secs(2);
/// Most time for an orderly end; what is left then is killed. With the kernel's own work it stays below 5 s.
const DRAIN_MAX: Duration = Duration::from_millis(4_500);
/// Who is told to end, front to back, and how long at most before the next are told too: a tier behind may only go
/// when the one before has finished with it, but must get its share of the 5 s.
const DRAIN_ORDER: [(&[Family], Duration); 4] = [
    (&[Family::Frontend], Duration::from_millis(1_000)),
    (&[Family::Logic], Duration::from_millis(1_000)),
    (
        &[Family::Sessions, Family::Carts, Family::Catalogue, Family::Orders, Family::Payments],
        Duration::from_millis(500),
    ),
    (&[Family::Provider], Duration::ZERO),
];

/// All nodes of this supervisor.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Supervised>,
    dir: DataDir,
    probe: reqwest::Client,
    /// What a change at a node's operations listener must show.
    secret: Secret,
    /// Whether nodes speak TLS with each other.
    pub(crate) tls: bool,
    /// Which links are bad on purpose.
    faults: Mutex<FaultBook>,
    /// Set once: ended nodes are not started again.
    ending: CancellationToken,
    /// Something about a node is new.
    changed: watch::Sender<()>,
    /// Why the shop cannot go on.
    fatal: watch::Sender<Option<String>>,
}

#[derive(Debug)]
struct Supervised {
    plan: NodePlan,
    now: Mutex<Now>,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    pid: Option<u32>,
    state: State,
    /// Since its last start.
    was_ready: bool,
    restarts: u32,
    /// The version of the faults that its process knows.
    told: u64,
}

impl Cluster {
    pub(crate) fn new(plans: Vec<NodePlan>, dir: DataDir, secret: Secret, tls: bool) -> anyhow::Result<Arc<Self>> {
        let now = Now { pid: None, state: State::Starting, was_ready: false, restarts: 0, told: 0 };
        let nodes = plans.into_iter().map(|plan| Supervised { plan, now: Mutex::new(now) }).collect();
        let probe = rpc::http_client()?;
        let (ending, changed, fatal) = (CancellationToken::new(), watch::Sender::new(()), watch::Sender::new(None));
        let faults = Mutex::default();
        Ok(Arc::new(Self { nodes, dir, probe, secret, tls, faults, ending, changed, fatal }))
    }

    /// Starts all nodes at once: they tolerate that others are not there yet.
    pub(crate) fn start(self: &Arc<Self>, tasks: &Tasks) {
        for index in 0..self.nodes.len() {
            let cluster = self.clone();
            drop(tasks.spawn(async move {
                if let Some(node) = cluster.nodes.get(index) {
                    cluster.keep_running(node).await;
                }
            }));
        }
    }

    /// Every node, front to back.
    pub(crate) fn status(&self) -> Vec<NodeStatus> {
        self.nodes.iter().map(Supervised::status).collect()
    }

    /// How many nodes take work.
    pub(crate) fn ready(&self) -> usize {
        self.nodes.iter().filter(|node| node.lock().state == State::Ready).count()
    }

    /// Resolves when every node takes work; calls `progress` whenever something changes.
    pub(crate) async fn until_ready(&self, progress: impl Fn(usize)) {
        let all = self.nodes.len();
        self.until(|| {
            let ready = self.ready();
            progress(ready);
            ready == all
        })
        .await;
    }

    /// Resolves with the reason when the shop cannot go on.
    pub(crate) async fn until_fatal(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The sender is ours, so this cannot be; to wait is right for a shop that has no reason to end.
            Err(_) => std::future::pending().await,
        }
    }

    async fn until(&self, mut condition: impl FnMut() -> bool) {
        let mut changed = self.changed.subscribe();
        while !condition() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn keep_running(&self, node: &Supervised) {
        let mut restarts = Restarts::default();
        let first_start = Instant::now();
        while !self.ending.is_cancelled() {
            let first = node.lock().restarts == 0;
            let (end, log_start) = self.run_once(node).await;
            let id = &node.plan.id;
            if end.as_ref().is_ok_and(|end| end.code() == Some(EXIT_CUT_OFF.into())) {
                output::tell(&format!("{id} could not finish all it did in time; its log says how much was cut off"));
            }
            if self.ending.is_cancelled() {
                break;
            }
            let lines = || child::last_lines(&self.dir.log(id), log_start);
            let gave_up = end.as_ref().is_ok_and(|status| status.code().is_some_and(|code| code != 0)) || end.is_err();
            if first && gave_up && first_start.elapsed() < FIRST_START {
                let end = describe(&end);
                return self.fail(node, format!("{id} cannot start ({end}); it says:\n{}", indent(&lines())));
            }
            let was_ready = node.lock().was_ready;
            let Some(delay) = restarts.ended(Instant::now(), was_ready) else {
                let text = format!("{id} ended more than 10 times within 10 s; its last lines:\n{}", indent(&lines()));
                return self.fail(node, text);
            };
            let why = if gave_up { format!(": {}", lines().lines().last().unwrap_or_default()) } else { String::new() };
            output::tell(&format!(
                "{id} ended ({}){why}; starting it again in {} ms",
                describe(&end),
                delay.as_millis()
            ));
            self.set(node, |now| now.restarts += 1);
            tokio::select! {
                () = sleep(delay) => {}
                () = self.ending.cancelled() => {}
            }
        }
        self.set(node, |now| now.state = State::Stopped);
    }

    /// One life of the process: from start to end, with its readiness watched meanwhile.
    async fn run_once(&self, node: &Supervised) -> (anyhow::Result<ExitStatus>, u64) {
        let faults = self.faults_of(node).filter(|faults| faults.version > 0);
        let mut started = match child::start(&node.plan, &self.dir, faults.as_ref()) {
            Ok(started) => started,
            Err(error) => return (Err(error), 0),
        };
        let told = faults.map_or(0, |faults| faults.version);
        self.set(node, |now| (now.pid, now.was_ready, now.told) = (started.child.id(), false, told));
        let end = tokio::select! {
            end = started.child.wait() => end,
            never = self.watch_readiness(node) => match never {},
        };
        self.set(node, |now| {
            now.pid = None;
            if !(self.ending.is_cancelled() && now.state == State::Draining) {
                now.state = State::Restarting;
            }
        });
        (end.map_err(Into::into), started.log_start)
    }

    async fn watch_readiness(&self, node: &Supervised) -> Infallible {
        let url = format!("http://{}/health/ready", node.plan.ops_address);
        loop {
            let ready = self.tell_faults(node).await && self.is_ready(&url).await;
            let state = node.lock().state;
            match (ready, state) {
                (true, State::Starting | State::Restarting) => {
                    self.set(node, |now| (now.state, now.was_ready) = (State::Ready, true));
                }
                (false, State::Ready) => self.set(node, |now| now.state = State::Starting),
                _ => {}
            }
            sleep(if ready { PROBE_LATER } else { PROBE_SOON }).await;
        }
    }

    async fn is_ready(&self, url: &str) -> bool {
        let answer = self.probe.get(url).timeout(PROBE_TIMEOUT).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Kills, pauses, resumes or restarts a node, and waits until that can be seen. The error is for people.
    pub(crate) async fn signal(&self, id: &str, action: Action) -> Result<(), String> {
        let Some(node) = self.nodes.iter().find(|node| node.plan.id == id) else {
            let ids: Vec<_> = self.nodes.iter().map(|node| node.plan.id.as_str()).collect();
            return Err(format!("there is no node \"{id}\"; the nodes are {}", ids.join(", ")));
        };
        let Some(pid) = node.lock().pid else {
            return Err(format!("{id} has no process at the moment (it is {}); try again", node.lock().state));
        };
        let paused = || child::is_paused(pid);
        let signal = match action {
            Action::Pause if paused() => {
                return Err(format!("{id} is paused already; `trestle resume {id}` lets it go on"));
            }
            Action::Resume if !paused() => return Err(format!("{id} is not paused; it is {}", node.status().state)),
            Action::Restart if paused() => {
                return Err(format!("{id} is paused and would not notice; `trestle resume {id}` first"));
            }
            Action::Restart => Signal::TERM,
            Action::Kill => Signal::KILL,
            Action::Pause => Signal::STOP,
            Action::Resume => Signal::CONT,
        };
        let seen = || match action {
            Action::Kill => node.lock().pid != Some(pid),
            Action::Pause => paused(),
            Action::Resume => !paused(),
            // How long it drains is its own business.
            Action::Restart => true,
        };
        if action == Action::Resume && node.lock().state == State::Ready {
            // It must show first that it still is: a node that slept may have to catch up.
            self.set(node, |now| now.state = State::Starting);
        }
        if action == Action::Restart {
            self.set(node, |now| now.state = State::Draining);
        }
        child::send(pid, signal);
        let effect = async {
            while !seen() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(SIGNAL_EFFECT, effect).await.map_err(|_| format!("{id} got the signal, but nothing happened for 2 s"))
    }

    /// Ends all nodes in order; at once when `hurry` resolves. Takes less than 5 s.
    pub(crate) async fn drain(&self, hurry: impl Future<Output = ()>) {
        self.ending.cancel();
        let orderly = async {
            for (families, at_most) in DRAIN_ORDER {
                let stage = || self.nodes.iter().filter(|node| families.contains(&node.plan.family));
                for node in stage() {
                    self.ask_to_end(node);
                }
                let _ = timeout(at_most, self.until(|| stage().all(Supervised::has_ended))).await;
            }
            self.until(|| self.nodes.iter().all(Supervised::has_ended)).await;
        };
        tokio::select! {
            _ = timeout(DRAIN_MAX, orderly) => {}
            () = hurry => {}
        }
        for node in &self.nodes {
            if let Some(pid) = node.lock().pid {
                output::tell(&format!("{} had not finished and was killed", node.plan.id));
                child::send(pid, Signal::KILL);
            }
        }
        // Only a process stuck in the kernel does not end now; it must not keep us.
        let _ = timeout(Duration::from_millis(300), self.until(|| self.nodes.iter().all(Supervised::has_ended))).await;
    }

    fn ask_to_end(&self, node: &Supervised) {
        let Some(pid) = node.lock().pid else { return };
        self.set(node, |now| now.state = State::Draining);
        // Not SIGTERM, which begins with a delay so that callers go elsewhere: there is no elsewhere.
        child::send(pid, Signal::INT);
        // A paused node would not notice the first signal.
        child::send(pid, Signal::CONT);
    }

    fn fail(&self, node: &Supervised, reason: String) {
        self.set(node, |now| now.state = State::Failed);
        self.fatal.send_if_modified(|fatal| fatal.is_none() && fatal.replace(reason).is_none());
    }

    fn book(&self) -> MutexGuard<'_, FaultBook> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, node: &Supervised, change: impl FnOnce(&mut Now)) {
        change(&mut node.lock());
        self.changed.send_replace(());
    }
}

impl Supervised {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        matches!(self.lock().state, State::Stopped | State::Failed)
    }

    fn status(&self) -> NodeStatus {
        let now = *self.lock();
        NodeStatus {
            family: self.plan.family,
            id: self.plan.id.clone(),
            pid: now.pid,
            address: self.plan.address.clone(),
            ops_address: self.plan.ops_address.clone(),
            state: if now.pid.is_some_and(child::is_paused) { State::Paused } else { now.state },
            site: self.plan.site.clone(),
            memory_kib: now.pid.and_then(child::memory_kib),
            restarts: now.restarts,
        }
    }
}

fn describe(end: &anyhow::Result<ExitStatus>) -> String {
    match end {
        Ok(status) => status.to_string(),
        Err(error) => format!("{error:#}"),
    }
}

fn indent(lines: &str) -> String {
    if lines.is_empty() { "  (nothing)".to_owned() } else { format!("  {}", lines.replace('\n', "\n  ")) }
}
