//! How one attempt travels: over HTTP between processes, or directly inside one process for tests and simulation (T-1).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use runtime::{Faults, Node};

use crate::{
    OpServer,
    wire::{self, WireRequest, WireResponse},
};

/// Why an attempt brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No byte of the request can have been worked on: the connection was never made.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The request may have been worked on: the connection broke or time ran out.
    #[error("no answer: {0}")]
    Lost(String),
}

/// Carries one attempt to one node. Never resends: there is one retry layer, in `client.rs` (SEM-3).
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends one request and waits for its answer.
    async fn send(&self, address: &str, request: WireRequest) -> Result<WireResponse, TransportError>;
    /// Asks whether the node wants work.
    async fn probe(&self, address: &str) -> bool;
}

/// The HTTP client that every adapter uses: no retries of its own, no proxy, bounded idle connections.
///
/// # Errors
/// When the client cannot be built.
#[expect(clippy::disallowed_methods, reason = "this is the adapter that all HTTP clients come from")]
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_millis(500))
        // Shorter than the listener's 60 s, or a request could meet a closing connection (DR-3).
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(64)
        .tcp_nodelay(true)
        .build()
}

/// HTTP/1.1 between processes.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    http: reqwest::Client,
    /// Asked for here, so that no caller can forget them.
    faults: Faults,
}

impl HttpTransport {
    /// A transport of this node with its own connection pool; it obeys the node's injected faults.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn new(node: &Node) -> reqwest::Result<Self> {
        Ok(Self { http: http_client()?, faults: node.faults.clone() })
    }

    async fn post(&self, address: &str, request: WireRequest) -> Result<WireResponse, TransportError> {
        let mut call = self
            .http
            .post(format!("http://{address}/op/{}", request.operation))
            .header(http::header::AUTHORIZATION, format!("Bearer {}", request.secret.expose()))
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(wire::DEADLINE, request.deadline_ms)
            .header(wire::TRACEPARENT, request.traceparent)
            .header(wire::ATTEMPT, request.attempt)
            .body(request.body);
        if let Some(key) = request.key {
            call = call.header(wire::KEY, key);
        }
        let answer = call.send().await.map_err(classify)?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (outcome, retry) = (header(wire::OUTCOME), header(wire::RETRY).as_deref() != Some("no"));
        let body = answer.bytes().await.map_err(|error| TransportError::Lost(error.to_string()))?;
        Ok(WireResponse { status, outcome, retry, body })
    }

    async fn ask_ready(&self, address: &str) -> bool {
        let answer = self.http.get(format!("http://{address}/health/ready")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, address: &str, request: WireRequest) -> Result<WireResponse, TransportError> {
        self.faults.pass(address, self.post(address, request)).await
    }

    async fn probe(&self, address: &str) -> bool {
        self.faults.pass(address, self.ask_ready(address)).await
    }
}

/// Only a connection that was never made proves that nothing happened; everything else may have.
fn classify(error: reqwest::Error) -> TransportError {
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent(error.to_string())
    } else {
        TransportError::Lost(error.to_string())
    }
}

/// Calls nodes in the same process, through the same bytes. Nodes can be taken away and put back.
#[derive(Clone, Debug, Default)]
pub struct InProcess(Arc<RwLock<BTreeMap<String, OpServer>>>);

impl InProcess {
    /// Puts a node at an address.
    pub fn add(&self, address: &str, server: OpServer) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), server);
    }

    /// Takes the node at an address away: connections to it are refused from now on.
    pub fn remove(&self, address: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    fn get(&self, address: &str) -> Option<OpServer> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, address: &str, request: WireRequest) -> Result<WireResponse, TransportError> {
        match self.get(address) {
            Some(server) => Ok(server.handle(request.operation, server.headers_of(&request), request.body).await),
            None => Err(TransportError::NotSent("nobody listens there".to_owned())),
        }
    }

    async fn probe(&self, address: &str) -> bool {
        self.get(address).is_some_and(|server| server.is_ready())
    }
}
