//! How one attempt travels: over HTTP between processes, or directly inside one process for tests and simulation (T-1).

use std::{
    collections::BTreeMap,
    fmt,
    future::ready,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use contract::Family;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use runtime::{Faults, ListenerLimits, Node, refused_by_peer};

use crate::{
    OpServer,
    connector::Connector,
    wire::{self, WireRequest, WireResponse},
};

/// How long a connection may take to be made, its handshake included where there is TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an idle connection is kept. Shorter than the listener's 60 s, or a request could meet a closing one (DR-3).
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
// Also when the listener is nearly full and impatient. Longer than a drain's delay it may be: a caller that has heard of the
// drain uses none of its connections to that node any more.
const _: () = assert!(IDLE_TIMEOUT.as_millis() < ListenerLimits::INNER.header_timeout.as_millis());
const _: () = assert!(IDLE_TIMEOUT.as_millis() < ListenerLimits::INNER.header_timeout_full.as_millis());
/// Most idle connections to one node.
const IDLE_MAX: usize = 64;

/// Why an attempt brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No byte of the request can have been worked on: it was never written, or not read.
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

/// The HTTP client of every adapter to other people's programs: no retries of its own, no proxy, bounded idle connections.
///
/// # Errors
/// When the client cannot be built.
#[expect(clippy::disallowed_methods, reason = "this is the adapter that all HTTP clients come from")]
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
        .tcp_nodelay(true)
        .build()
}

/// HTTP/1.1 between processes. Of reqwest's parts only the pool of connections, which is hyper's: a checkout is some twenty
/// exchanges between nodes, and URLs, redirects, proxies and decoders cost each of them without being of use to any.
///
/// Each family has a transport of its own: with TLS, what answers at an address must prove to be of the family that was
/// meant, and a connection in the pool has proved it.
///
/// The pool sends a request once more by itself in one case only: it was given a kept connection that turned out to be
/// closed, and not a byte of the request was written.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    http: legacy::Client<Connector, Full<Bytes>>,
    /// Asked for here, so that no caller can forget them.
    faults: Faults,
}

impl HttpTransport {
    /// A transport of this node to nodes of a family, with its own connection pool; it obeys the node's injected faults.
    #[must_use]
    pub fn new(node: &Node, family: Family) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(Connector::new(node, family, CONNECT_TIMEOUT));
        Self { http, faults: node.faults.clone() }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, TransportError> {
        // Three things prove that nothing happened, everything else may have: the connection was never made; it ended before
        // the request was written; the node refused our certificate, which it says when the request is under way already,
        // but has read none of it.
        self.http.request(request).await.map_err(|error| {
            match error.is_connect() || was_never_written(&error) || refused_by_peer(&error) {
                true => TransportError::NotSent(with_causes(&error)),
                false => TransportError::Lost(with_causes(&error)),
            }
        })
    }

    async fn post(&self, address: &str, request: WireRequest) -> Result<WireResponse, TransportError> {
        let mut call = Request::post(format!("http://{address}/op/{}", request.operation))
            .header(header::AUTHORIZATION, format!("Bearer {}", request.secret.expose()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(wire::DEADLINE, request.deadline_ms)
            .header(wire::TRACEPARENT, request.traceparent)
            .header(wire::CLASS, request.class.name())
            .header(wire::ATTEMPT, request.attempt);
        if let Some(key) = request.key {
            call = call.header(wire::KEY, key);
        }
        let call = call.body(Full::new(request.body)).map_err(|error| TransportError::NotSent(error.to_string()))?;
        let (head, body) = self.exchange(call).await?.into_parts();
        let body = body.collect().await.map_err(|error| TransportError::Lost(with_causes(&error)))?.to_bytes();
        let overload = text(&head.headers, wire::OVERLOAD);
        Ok(WireResponse {
            status: head.status.as_u16(),
            outcome: text(&head.headers, wire::OUTCOME).map(str::to_owned),
            retry: text(&head.headers, wire::RETRY) != Some("no"),
            queued_ms: text(&head.headers, wire::QUEUED).and_then(|ms| ms.parse().ok()).unwrap_or_default(),
            overloaded: overload.is_some_and(|who| who != wire::BELOW),
            overloaded_below: overload == Some(wire::BELOW),
            body,
        })
    }

    async fn ask_ready(&self, address: &str) -> bool {
        let Ok(call) = Request::get(format!("http://{address}/health/ready")).body(Full::default()) else {
            return false;
        };
        let Ok(answer) = self.exchange(call).await else { return false };
        let ready = answer.status().is_success();
        // Read to its end, or its connection could not be used again.
        answer.into_body().collect().await.is_ok() && ready
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

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the connection ended while the request was still waiting for it. hyper hands such a request back and calls it
/// canceled; of one whose first byte was written it never says so (`client/dispatch.rs`, `proto/h1/dispatch.rs`).
fn was_never_written(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).filter_map(|error| error.downcast_ref::<hyper::Error>()).any(hyper::Error::is_canceled)
}

/// The error and what is behind it, outermost first.
fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// All of it: the first text alone is "client error".
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
            Some(server) => {
                let headers = server.headers_of(&request);
                Ok(server.handle(request.operation, &headers, ready(Ok(request.body))).await)
            }
            None => Err(TransportError::NotSent("nobody listens there".to_owned())),
        }
    }

    async fn probe(&self, address: &str) -> bool {
        self.get(address).is_some_and(|server| server.is_ready())
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use overload::Class;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 409 Conflict\r\nx-outcome: refused\r\nx-retry: no\r\ncontent-length: 2\r\n\r\n{}";

    fn transport() -> HttpTransport {
        let secret = runtime::Secret::new("0123456789abcdef").unwrap();
        HttpTransport::new(&Node::assemble("logic", "1", runtime::Seams::system(), secret).unwrap(), Family::Carts)
    }

    fn request() -> WireRequest {
        WireRequest {
            operation: "carts.view",
            secret: runtime::Secret::new("0123456789abcdef").unwrap(),
            deadline_ms: 1_000,
            traceparent: "00-1-1-01".to_owned(),
            class: Class::default(),
            key: Some("a-key-of-16-chars".to_owned()),
            attempt: 2,
            body: Bytes::from_static(b"{\"n\":1}"),
        }
    }

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    /// One request, to the end of its body.
    async fn read(stream: &mut TcpStream) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"{\"n\":1}") {
            let mut part = [0; 4_096];
            let count = stream.read(&mut part).await.unwrap();
            assert!(count > 0, "ended early: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&part[..count]);
        }
        String::from_utf8(read).unwrap().to_lowercase()
    }

    #[tokio::test]
    async fn all_that_a_call_carries_arrives_and_the_connection_is_used_again() {
        let (listener, address) = listener().await;
        let http = transport();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                let head = read(&mut stream).await;
                assert!(head.starts_with("post /op/carts.view http/1.1\r\n"), "{head}");
                for header in [
                    &format!("host: {address}"),
                    "authorization: bearer 0123456789abcdef",
                    "content-type: application/json",
                    "x-deadline-ms: 1000",
                    "traceparent: 00-1-1-01",
                    "x-attempt: 2",
                    "idempotency-key: a-key-of-16-chars",
                    "content-length: 7",
                ] {
                    assert!(head.contains(&format!("\r\n{header}\r\n")), "{header} is missing: {head}");
                }
                stream.write_all(ANSWER).await.unwrap();
            }
        };
        let ask = async {
            let answer = WireResponse {
                status: 409,
                outcome: Some("refused".to_owned()),
                retry: false,
                body: Bytes::from_static(b"{}"),
                ..WireResponse::default()
            };
            for _ in 0..2 {
                assert_eq!(http.send(&address, request()).await, Ok(answer.clone()));
            }
        };
        tokio::join!(serve, ask);
    }

    #[tokio::test]
    async fn an_answer_tells_of_load() {
        let http = transport();
        for (headers, queued_ms, overloaded, overloaded_below) in [
            ("x-queue-ms: 17\r\n", 17, false, false),
            ("x-overload: 1\r\n", 0, true, false),
            ("x-overload: below\r\nx-queue-ms: nonsense\r\n", 0, false, true),
        ] {
            let (listener, address) = listener().await;
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read(&mut stream).await;
                let answer = format!("HTTP/1.1 503 Busy\r\n{headers}content-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            };
            let ((), answer) = tokio::join!(serve, http.send(&address, request()));
            let expected = WireResponse {
                status: 503,
                retry: true,
                queued_ms,
                overloaded,
                overloaded_below,
                ..WireResponse::default()
            };
            assert_eq!(answer, Ok(expected), "{headers}");
        }
    }

    #[tokio::test]
    async fn only_a_connection_that_was_never_made_proves_that_nothing_happened() {
        let http = transport();
        let (listener, address) = listener().await;
        // The request was read, and there is no answer, or half of one: sent once, and nobody knows.
        for half in [&ANSWER[..0], &ANSWER[..30], &ANSWER[..ANSWER.len() - 1]] {
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read(&mut stream).await;
                stream.write_all(half).await.unwrap();
            };
            let ((), answer) = tokio::join!(serve, http.send(&address, request()));
            assert!(matches!(answer, Err(TransportError::Lost(_))), "{answer:?}");
        }
        drop(listener);
        let refused = http.send(&address, request()).await;
        let Err(TransportError::NotSent(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("refused"), "{reason}");
        let nonsense = http.send("no address", request()).await;
        assert!(matches!(nonsense, Err(TransportError::NotSent(_))), "{nonsense:?}");
        assert!(!http.probe(&address).await);
    }

    #[tokio::test]
    async fn a_request_that_met_a_closed_connection_was_never_written() {
        for written in [false, true] {
            let (ours, mut theirs) = tokio::io::duplex(1 << 10);
            let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
            let request = Request::new(Full::<Bytes>::default());
            let sent = if written {
                let serve = async move { theirs.read_u8().await.unwrap() };
                let (sent, _, _) = tokio::join!(client.send_request(request), connection, serve);
                sent
            } else {
                drop(theirs);
                let (sent, _) = tokio::join!(client.send_request(request), connection);
                sent
            };
            let error = sent.unwrap_err();
            assert_eq!(was_never_written(&error), !written, "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_kept_connection_that_was_closed_meanwhile_is_replaced() {
        let (listener, address) = listener().await;
        let http = transport();
        for _ in 0..3 {
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read(&mut stream).await;
                stream.write_all(ANSWER).await.unwrap();
                // Until the client has seen the end: a request that meets it half-way is lost, as it must be.
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
            };
            let ((), answer) = tokio::join!(serve, http.send(&address, request()));
            assert!(answer.is_ok(), "{answer:?}");
        }
    }
}
