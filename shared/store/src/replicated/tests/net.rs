//! A network of nodes in memory that loses, repeats, delays, hangs and cuts as a seed says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contract::{
    CallError, CartId, Sharing,
    cart::Cart,
    replication::{Asker, OtherView},
};
use runtime::{ManualClock, Node, Seams, Secret, SeededRandom};

use super::super::{ENTRIES_MAX, PeerError, Peers, Replicated, Setup};
use crate::ring::Member;

#[derive(Debug)]
pub(super) struct Net {
    pub(super) names: Vec<String>,
    sites: Vec<&'static str>,
    sharing: Sharing,
    pub(super) seams: Seams,
    pub(super) clock: Arc<ManualClock>,
    state: Mutex<NetState>,
}

#[derive(Debug, Default)]
struct NetState {
    /// Who listens, and since which start: what a dead process had on its way goes nowhere.
    up: BTreeMap<String, (usize, Replicated<Cart>)>,
    starts: usize,
    hung: BTreeSet<String>,
    /// Live, and refuse connections all the same.
    deaf: BTreeSet<String>,
    /// The one side of a cut; between it and the others everything is swallowed.
    cut: BTreeSet<String>,
    /// How many of the names a node knows; all if not told.
    known: BTreeMap<String, usize>,
    members: usize,
    /// In 1,000: how many messages are lost before or after they arrive, and how many come again later.
    loss: u64,
    late: Vec<(String, Vec<(CartId, Cart)>)>,
    sent: usize,
    /// How many dots were in entries that were sent.
    dots: usize,
}

/// One node as its supervisor sees it; `node` ends with it.
pub(super) struct Running {
    pub(super) name: String,
    pub(super) data: Replicated<Cart>,
    pub(super) node: Node,
}

#[derive(Debug)]
struct Link {
    net: Arc<Net>,
    own: Member,
    start: usize,
}

impl Net {
    pub(super) fn new(seed: u64, nodes: usize) -> Arc<Self> {
        Self::of(seed, vec![""; nodes], Sharing::Everything)
    }

    /// A node for each of these sites.
    pub(super) fn of(seed: u64, sites: Vec<&'static str>, sharing: Sharing) -> Arc<Self> {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let seams = Seams { clock: clock.clone(), random: Arc::new(SeededRandom::new(seed)) };
        let names: Vec<_> = (0..sites.len()).map(|number| format!("node-{number}:1")).collect();
        let state = Mutex::new(NetState { members: names.len(), ..NetState::default() });
        Arc::new(Self { names, sites, sharing, seams, clock, state })
    }

    /// An empty node that listens but does nothing else yet.
    pub(super) fn listen(self: &Arc<Self>, number: usize) -> Running {
        self.listen_with(number, ENTRIES_MAX)
    }

    pub(super) fn listen_with(self: &Arc<Self>, number: usize, entries_max: usize) -> Running {
        let own = Member { site: self.sites[number].to_owned(), name: self.names[number].clone() };
        let (name, start) = (own.name.clone(), self.state.lock().unwrap().starts);
        let setup = Setup { own: own.clone(), entries_max, sharing: self.sharing, ..Setup::new(None, &name) };
        let link = Arc::new(Link { net: self.clone(), own, start });
        let data = Replicated::new(self.seams.clone(), link, &setup);
        let secret = Secret::new("0123456789abcdef").unwrap();
        let node = Node::assemble("carts", &name, self.seams.clone(), secret).unwrap();
        let mut state = self.state.lock().unwrap();
        state.starts += 1;
        state.up.insert(name.clone(), (start, data.clone()));
        Running { name, data, node }
    }

    /// A node that has copied and is ready.
    pub(super) async fn start(self: &Arc<Self>, number: usize) -> Running {
        let running = self.listen(number);
        running.data.start(&running.node);
        while !running.node.readiness.is_ready() {
            self.pause(2).await;
        }
        running
    }

    /// All nodes, ready.
    pub(super) async fn start_all(self: &Arc<Self>) -> Vec<Running> {
        let listening: Vec<_> = (0..self.names.len()).map(|number| self.listen(number)).collect();
        for running in &listening {
            running.data.start(&running.node);
        }
        for running in &listening {
            while !running.node.readiness.is_ready() {
                self.pause(2).await;
            }
        }
        listening
    }

    pub(super) fn kill(&self, running: &Running) {
        self.state.lock().unwrap().up.remove(&running.name);
        running.node.tasks.stop();
    }

    pub(super) fn hang(&self, number: usize, hung: bool) {
        let mut state = self.state.lock().unwrap();
        if hung {
            state.hung.insert(self.names[number].clone())
        } else {
            state.hung.remove(&self.names[number])
        };
    }

    pub(super) fn deafen(&self, number: usize, deaf: bool) {
        let mut state = self.state.lock().unwrap();
        if deaf {
            state.deaf.insert(self.names[number].clone())
        } else {
            state.deaf.remove(&self.names[number])
        };
    }

    /// Cuts these nodes off from the others, or heals.
    pub(super) fn cut(&self, numbers: &[usize]) {
        self.state.lock().unwrap().cut = numbers.iter().map(|number| self.names[*number].clone()).collect();
    }

    pub(super) fn lose(&self, loss: u64) {
        self.state.lock().unwrap().loss = loss;
    }

    /// From now on the first so many nodes are the members. The nodes that are told know it now, the others when they
    /// look again.
    pub(super) fn set_members(&self, count: usize, told: &[usize]) {
        let mut state = self.state.lock().unwrap();
        let before = std::mem::replace(&mut state.members, count);
        for (number, name) in self.names.iter().enumerate() {
            let known = if told.contains(&number) { count } else { state.known.get(name).copied().unwrap_or(before) };
            state.known.insert(name.clone(), known);
        }
    }

    /// How many messages were handed to the network.
    pub(super) fn sent(&self) -> usize {
        self.state.lock().unwrap().sent
    }

    /// How many dots were in the entries that were handed to the network.
    pub(super) fn dots(&self) -> usize {
        self.state.lock().unwrap().dots
    }

    pub(super) async fn pause(&self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.seams.below(most_ms + 1))).await;
    }

    fn chance(&self, in_1000: u64) -> bool {
        self.seams.below(1_000) < in_1000
    }

    /// Old messages arrive once more, in any order.
    pub(super) fn deliver_late(&self) {
        let (late, up) = {
            let mut state = self.state.lock().unwrap();
            (std::mem::take(&mut state.late), state.up.clone())
        };
        for (peer, entries) in late.into_iter().rev() {
            if let Some((_, node)) = up.get(&peer) {
                node.merge(entries).unwrap();
            }
        }
    }
}

impl Link {
    /// The way there: late, perhaps never, perhaps to nobody.
    async fn travel(&self, peer: &str) -> Result<Replicated<Cart>, PeerError> {
        self.net.state.lock().unwrap().sent += 1;
        self.pass(peer).await;
        let found = {
            let state = self.net.state.lock().unwrap();
            let up = state.up.get(peer).filter(|_| !state.deaf.contains(peer)).map(|(_, node)| node.clone());
            (up, state.hung.contains(peer), state.loss)
        };
        let (Some(node), is_hung, loss) = found else {
            return Err(PeerError::Down("connection refused".to_owned()));
        };
        if is_hung || self.net.chance(loss) {
            std::future::pending::<()>().await;
        }
        Ok(node)
    }

    /// One way of the link; for ever if it is cut, or if we are dead.
    async fn pass(&self, peer: &str) {
        self.net.pause(5).await;
        let passes = {
            let state = self.net.state.lock().unwrap();
            let alive = state.up.get(&self.own.name).is_some_and(|(start, _)| *start == self.start);
            alive && state.cut.contains(peer) == state.cut.contains(&self.own.name)
        };
        if !passes {
            std::future::pending::<()>().await;
        }
    }

    /// The way back.
    async fn answer<T>(&self, peer: &str, answer: Result<T, CallError<OtherView>>) -> Result<T, PeerError> {
        self.pass(peer).await;
        let loss = self.net.state.lock().unwrap().loss;
        if self.net.chance(loss) {
            std::future::pending::<()>().await;
        }
        answer.map_err(|error| match error {
            CallError::Refused(other) => other.into(),
            CallError::NotExecuted(reason) => PeerError::Down(reason),
            CallError::Unknown(reason) => PeerError::Silent(reason),
        })
    }

    fn asker(&self, view: u64) -> Asker {
        Asker { member: self.own.name.clone(), view }
    }
}

#[async_trait]
impl Peers<Cart> for Link {
    fn own(&self) -> &Member {
        &self.own
    }

    fn list(&self) -> Vec<Member> {
        let state = self.net.state.lock().unwrap();
        let known = state.known.get(&self.own.name).copied().unwrap_or(state.members);
        let members = self.net.names.iter().zip(&self.net.sites).take(known);
        let others = members.filter(|(name, _)| **name != self.own.name);
        others.map(|(name, site)| Member { site: (*site).to_owned(), name: name.clone() }).collect()
    }

    async fn refresh(&self) {
        let mut state = self.net.state.lock().unwrap();
        let members = state.members;
        state.known.insert(self.own.name.clone(), members);
    }

    async fn merge(&self, peer: &str, entries: &[(CartId, Cart)]) -> Result<(), PeerError> {
        self.net.state.lock().unwrap().dots += entries.iter().map(|(_, cart)| cart.seen.len()).sum::<usize>();
        let node = self.travel(peer).await?;
        let merged = node.merge(entries.to_vec()).map_err(|error| CallError::NotExecuted(error.to_string()));
        let loss = self.net.state.lock().unwrap().loss;
        if self.net.chance(loss) {
            self.net.state.lock().unwrap().late.push((peer.to_owned(), entries.to_vec()));
        }
        self.answer(peer, merged).await
    }

    async fn fetch(&self, peer: &str, view: u64, key: &CartId) -> Result<Option<Cart>, PeerError> {
        let node = self.travel(peer).await?;
        self.answer(peer, node.copy_of(&self.asker(view), key)).await
    }

    async fn page(
        &self,
        peer: &str,
        view: u64,
        vnodes: &[u16],
        after: Option<CartId>,
    ) -> Result<Vec<(CartId, Cart, i64)>, PeerError> {
        let node = self.travel(peer).await?;
        self.answer(peer, node.page_for(&self.asker(view), vnodes, after.as_ref())).await
    }

    async fn digest(&self, peer: &str, view: u64, groups: &[u8]) -> Result<Vec<u64>, PeerError> {
        let node = self.travel(peer).await?;
        self.answer(peer, node.digest_for(&self.asker(view), groups)).await
    }
}
