//! How entries travel to the other nodes of the family: a small trait, so that tests can lose, repeat, delay and hang.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use async_trait::async_trait;
use contract::{
    CallError, NoKey, Operation, Strategy,
    replication::{Asker, OtherView},
};
use futures_util::future::join_all;
use rpc::{Client, Discovery, Transport};
use runtime::Node;

use super::{Join, Setup, state::Copied};
use crate::ring::Member;

/// Longest that one message may take over RPC; whoever waits may give up sooner.
const CALL_WITHIN: Duration = Duration::from_secs(1);

/// Why a peer did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It certainly did not: nobody listens there, or it said no. Known at once.
    #[error("down: {0}")]
    Down(String),
    /// No answer; it may have.
    #[error("silent: {0}")]
    Silent(String),
    /// It knows other members than we do: we may both be right, a moment apart.
    #[error("it knows other members: its view is {0:016x}")]
    OtherView(u64),
}

/// The other nodes of the family.
#[async_trait]
pub trait Peers<V: Join>: fmt::Debug + Send + Sync + 'static {
    /// Ourselves, as the others know us.
    fn own(&self) -> &Member;
    /// The others; those that are down are listed too.
    fn list(&self) -> Vec<Member>;
    /// Finds out now who the others are.
    async fn refresh(&self);
    /// Sends entries to be joined there.
    async fn merge(&self, peer: &str, entries: &[(V::Key, V)]) -> Result<(), PeerError>;
    /// Asks for one entry.
    async fn fetch(&self, peer: &str, view: u64, key: &V::Key) -> Result<Option<V>, PeerError>;
    /// Asks for the entries that we are to hold, of these virtual nodes or all, after a key; an empty page is the end.
    async fn page(
        &self,
        peer: &str,
        view: u64,
        vnodes: &[u16],
        after: Option<V::Key>,
    ) -> Result<Vec<Copied<V>>, PeerError>;
    /// Asks for digests of what both are to hold: of the virtual nodes in these groups, or of all groups.
    async fn digest(&self, peer: &str, view: u64, groups: &[u8]) -> Result<Vec<u64>, PeerError>;
}

/// Waits so long for a peer and then counts it as silent.
pub(super) async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let silent = |_| Err(PeerError::Silent(format!("no answer within {} ms", patience.as_millis())));
    tokio::time::timeout(patience, asked).await.unwrap_or_else(silent)
}

/// The family's own operations, called on the nodes of our site and of others.
pub struct RpcPeers<V> {
    own: Member,
    /// The site of the nodes that each client finds.
    sites: Vec<(String, Client)>,
    of: PhantomData<fn() -> V>,
}

impl<V> fmt::Debug for RpcPeers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.sites.iter().map(|(site, client)| (site, client.nodes().len()));
        f.debug_struct("RpcPeers").field("own", &self.own).field("sites", &nodes.collect::<Vec<_>>()).finish()
    }
}

impl<V: Join> RpcPeers<V> {
    /// The nodes that the set-up names, without ourselves.
    pub async fn new(node: &Node, transport: Arc<dyn Transport>, setup: &Setup) -> Self {
        let near = setup.peers.clone().unwrap_or(Discovery::Static(Vec::new()));
        let far = setup.remotes.iter().map(|remote| (remote.site.clone(), remote.nodes.clone()));
        let sites = [(setup.own.site.clone(), near)].into_iter().chain(far);
        let sites =
            sites.map(|(site, nodes)| (site, Client::of_peers(node, transport.clone(), nodes, &setup.own.name)));
        let peers = Self { own: setup.own.clone(), sites: sites.collect(), of: PhantomData };
        // A node that knew no peers at its start would copy nothing and call itself ready.
        peers.discover().await;
        peers
    }

    async fn discover(&self) {
        join_all(self.sites.iter().map(|(_, client)| client.discover())).await;
    }

    async fn call<O>(&self, peer: &str, request: &O) -> Result<O::Reply, PeerError>
    where
        O: Operation,
        O::Refusal: Into<PeerError>,
        O::Retry: Strategy<Key = NoKey>,
    {
        for (_, client) in &self.sites {
            if let Some(endpoint) = client.nodes().iter().find(|node| node.address == peer) {
                let called = client.call_node(endpoint, request, NoKey, CALL_WITHIN).await;
                return called.map_err(|error| match error {
                    CallError::Refused(refusal) => refusal.into(),
                    CallError::NotExecuted(reason) => PeerError::Down(reason),
                    CallError::Unknown(reason) => PeerError::Silent(reason),
                });
            }
        }
        Err(PeerError::Down("no longer a member".to_owned()))
    }

    fn asker(&self, view: u64) -> Asker {
        Asker { member: self.own.name.clone(), view }
    }
}

impl From<OtherView> for PeerError {
    fn from(other: OtherView) -> Self {
        Self::OtherView(other.view)
    }
}

impl From<contract::sessions::Never> for PeerError {
    fn from(never: contract::sessions::Never) -> Self {
        match never {}
    }
}

#[async_trait]
impl<V: Join> Peers<V> for RpcPeers<V> {
    fn own(&self) -> &Member {
        &self.own
    }

    fn list(&self) -> Vec<Member> {
        let mut all = Vec::new();
        for (site, client) in &self.sites {
            all.extend(client.nodes().iter().map(|node| Member { site: site.clone(), name: node.address.clone() }));
        }
        all
    }

    async fn refresh(&self) {
        self.discover().await;
    }

    async fn merge(&self, peer: &str, entries: &[(V::Key, V)]) -> Result<(), PeerError> {
        self.call(peer, &V::merge_request(entries.to_vec())).await
    }

    async fn fetch(&self, peer: &str, view: u64, key: &V::Key) -> Result<Option<V>, PeerError> {
        self.call(peer, &V::fetch_request(self.asker(view), key.clone())).await
    }

    async fn page(
        &self,
        peer: &str,
        view: u64,
        vnodes: &[u16],
        after: Option<V::Key>,
    ) -> Result<Vec<Copied<V>>, PeerError> {
        self.call(peer, &V::page_request(self.asker(view), vnodes.to_vec(), after)).await
    }

    async fn digest(&self, peer: &str, view: u64, groups: &[u8]) -> Result<Vec<u64>, PeerError> {
        self.call(peer, &V::digest_request(self.asker(view), groups.to_vec())).await
    }
}
