//! How entries travel to the other nodes of the family: a small trait, so that tests can lose, repeat, delay and hang.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use async_trait::async_trait;
use contract::{CallError, NoKey};
use rpc::{Client, Discovery, Endpoint, Transport};
use runtime::Node;

use super::Join;

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
}

/// The other nodes of the family.
#[async_trait]
pub trait Peers<V: Join>: fmt::Debug + Send + Sync + 'static {
    /// Their addresses, without our own; nodes that are down are listed too.
    fn list(&self) -> Vec<String>;
    /// Sends entries to be joined there.
    async fn merge(&self, peer: &str, entries: &[(V::Key, V)]) -> Result<(), PeerError>;
    /// Asks for the entries after a key; an empty page is the end.
    async fn page(&self, peer: &str, after: Option<V::Key>) -> Result<Vec<(V::Key, V)>, PeerError>;
}

/// Waits so long for a peer and then counts it as silent.
pub(super) async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let silent = |_| Err(PeerError::Silent(format!("no answer within {} ms", patience.as_millis())));
    tokio::time::timeout(patience, asked).await.unwrap_or_else(silent)
}

/// The family's own `merge` and `page` operations.
pub struct RpcPeers<V>(Client, PhantomData<fn() -> V>);

impl<V> fmt::Debug for RpcPeers<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.nodes().iter().map(|node| &node.address)).finish()
    }
}

impl<V: Join> RpcPeers<V> {
    /// The nodes at `discovery` except `own_address`.
    pub async fn new(node: &Node, transport: Arc<dyn Transport>, discovery: Discovery, own_address: &str) -> Self {
        let client = Client::of_peers(node, transport, discovery, own_address);
        // A node that knew no peers at its start would copy nothing and call itself ready.
        client.discover().await;
        Self(client, PhantomData)
    }

    fn endpoint(&self, peer: &str) -> Result<Arc<Endpoint>, PeerError> {
        let nodes = self.0.nodes();
        let found = nodes.iter().find(|node| node.address == peer);
        found.cloned().ok_or_else(|| PeerError::Down("no longer a member".to_owned()))
    }
}

#[async_trait]
impl<V: Join> Peers<V> for RpcPeers<V> {
    fn list(&self) -> Vec<String> {
        self.0.nodes().iter().map(|node| node.address.clone()).collect()
    }

    async fn merge(&self, peer: &str, entries: &[(V::Key, V)]) -> Result<(), PeerError> {
        let request = V::merge_request(entries.to_vec());
        self.0.call_node(&self.endpoint(peer)?, &request, NoKey, CALL_WITHIN).await.map_err(told)
    }

    async fn page(&self, peer: &str, after: Option<V::Key>) -> Result<Vec<(V::Key, V)>, PeerError> {
        let request = V::page_request(after);
        self.0.call_node(&self.endpoint(peer)?, &request, NoKey, CALL_WITHIN).await.map_err(told)
    }
}

fn told<R>(error: CallError<R>) -> PeerError {
    match error {
        CallError::Refused(_) => PeerError::Down("refused".to_owned()),
        CallError::NotExecuted(reason) => PeerError::Down(reason),
        CallError::Unknown(reason) => PeerError::Silent(reason),
    }
}
