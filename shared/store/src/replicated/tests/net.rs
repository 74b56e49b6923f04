//! A network of nodes in memory that loses, repeats, delays and hangs as a seed says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use contract::{CartId, cart::Cart};
use runtime::{ManualClock, Node, Seams, Secret, SeededRandom};

use super::super::{ENTRIES_MAX, PeerError, Peers, Replicated};

#[derive(Debug)]
pub(super) struct Net {
    pub(super) names: Vec<String>,
    pub(super) seams: Seams,
    pub(super) clock: Arc<ManualClock>,
    state: Mutex<NetState>,
}

#[derive(Debug, Default)]
struct NetState {
    up: BTreeMap<String, Replicated<Cart>>,
    hung: BTreeSet<String>,
    /// Live, and refuse connections all the same.
    deaf: BTreeSet<String>,
    /// In 1,000: how many messages are lost before or after they arrive, and how many come again later.
    loss: u64,
    late: Vec<(String, Vec<(CartId, Cart)>)>,
    sent: usize,
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
    own: String,
}

impl Net {
    pub(super) fn new(seed: u64, nodes: usize) -> Arc<Self> {
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let seams = Seams { clock: clock.clone(), random: Arc::new(SeededRandom::new(seed)) };
        let names = (0..nodes).map(|number| format!("node-{number}:1")).collect();
        Arc::new(Self { names, seams, clock, state: Mutex::default() })
    }

    /// An empty node that listens but does nothing else yet.
    pub(super) fn listen(self: &Arc<Self>, number: usize) -> Running {
        self.listen_with(number, ENTRIES_MAX)
    }

    pub(super) fn listen_with(self: &Arc<Self>, number: usize, entries_max: usize) -> Running {
        let name = self.names[number].clone();
        let link = Arc::new(Link { net: self.clone(), own: name.clone() });
        let data = Replicated::new(self.seams.clone(), link, entries_max);
        let secret = Secret::new("0123456789abcdef").unwrap();
        let node = Node::assemble("carts", &name, self.seams.clone(), secret).unwrap();
        self.state.lock().unwrap().up.insert(name.clone(), data.clone());
        Running { name, data, node }
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

    pub(super) fn lose(&self, loss: u64) {
        self.state.lock().unwrap().loss = loss;
    }

    /// How many messages were handed to the network.
    pub(super) fn sent(&self) -> usize {
        self.state.lock().unwrap().sent
    }

    pub(super) async fn pause(&self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.seams.below(most_ms + 1))).await;
    }

    fn chance(&self, in_1000: u64) -> bool {
        self.seams.below(1_000) < in_1000
    }

    /// The way there: late, perhaps never, perhaps to nobody.
    async fn travel(&self, peer: &str) -> Result<(Replicated<Cart>, u64), PeerError> {
        self.state.lock().unwrap().sent += 1;
        self.pause(5).await;
        let (node, is_hung, loss) = {
            let state = self.state.lock().unwrap();
            (state.up.get(peer).filter(|_| !state.deaf.contains(peer)).cloned(), state.hung.contains(peer), state.loss)
        };
        let node = node.ok_or_else(|| PeerError::Down("connection refused".to_owned()))?;
        if is_hung || self.chance(loss) {
            std::future::pending::<()>().await;
        }
        Ok((node, loss))
    }

    /// The way back.
    async fn answer(&self, loss: u64) {
        self.pause(5).await;
        if self.chance(loss) {
            std::future::pending::<()>().await;
        }
    }

    /// Old messages arrive once more, in any order.
    pub(super) fn deliver_late(&self) {
        let (late, up) = {
            let mut state = self.state.lock().unwrap();
            (std::mem::take(&mut state.late), state.up.clone())
        };
        for (peer, entries) in late.into_iter().rev() {
            if let Some(node) = up.get(&peer) {
                node.merge(entries).unwrap();
            }
        }
    }
}

#[async_trait]
impl Peers<Cart> for Link {
    fn list(&self) -> Vec<String> {
        self.net.names.iter().filter(|name| **name != self.own).cloned().collect()
    }

    async fn merge(&self, peer: &str, entries: &[(CartId, Cart)]) -> Result<(), PeerError> {
        let (node, loss) = self.net.travel(peer).await?;
        node.merge(entries.to_vec()).map_err(|error| PeerError::Down(error.to_string()))?;
        if self.net.chance(loss) {
            self.net.state.lock().unwrap().late.push((peer.to_owned(), entries.to_vec()));
        }
        self.net.answer(loss).await;
        Ok(())
    }

    async fn page(&self, peer: &str, after: Option<CartId>) -> Result<Vec<(CartId, Cart)>, PeerError> {
        let (node, loss) = self.net.travel(peer).await?;
        let page = node.page(after.as_ref());
        self.net.answer(loss).await;
        Ok(page)
    }
}
