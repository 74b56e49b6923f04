//! The accept loop of every listener. axum's own has no header timeout, so a silent client would hold a connection for
//! ever; hyper's plain HTTP/1 builder closes silent, half-sent and idle connections alike.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, header::CONNECTION},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::either::Either;
use tower::{Service, ServiceExt as _, util::MapErr};

use crate::{Connections, Tasks, Tls, connections::Connection};

/// Connections that the kernel keeps until they are taken.
const BACKLOG: u32 = 1_024;

/// Bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// Most open connections; further ones are closed at once.
    pub connections_max: usize,
    /// How long a request's head may take, and how long an idle connection is kept. Clients must drop idle connections
    /// sooner (DR-3), or they would send into a closing one.
    pub header_timeout: Duration,
    /// The same when the listener is nearly full: it falls to this between half of the connections and nine tenths.
    pub header_timeout_full: Duration,
    /// Largest request head in bytes.
    pub header_bytes_max: usize,
    /// Most header fields of one request.
    pub header_fields_max: usize,
}

impl ListenerLimits {
    /// For the public: 20,000 file descriptors are the machine's bound, and less than half may be connections.
    pub const PUBLIC: Self = Self {
        connections_max: 8_000,
        header_timeout: Duration::from_secs(15),
        header_timeout_full: Duration::from_secs(1),
        header_bytes_max: 16 * 1024,
        header_fields_max: 64,
    };
    /// Between tiers: longer idle time than the client's pool keeps a connection.
    pub const INNER: Self = Self {
        connections_max: 4_000,
        header_timeout: Duration::from_secs(60),
        // Never less than the client's pool keeps a connection, or a call would meet a closing one and be lost.
        header_timeout_full: Duration::from_secs(60),
        header_bytes_max: 16 * 1024,
        header_fields_max: 64,
    };
}

/// Binds a listener.
///
/// # Errors
/// When the address cannot be had; the message names the setting and what to do.
pub fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    listening(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{setting} {address}: the port is taken; end the process that uses it or choose another port"
        ),
        _ => anyhow::anyhow!("{setting} {address}: cannot listen there: {error}"),
    })
}

/// What `TcpListener::bind` does, without its look-up of names: nothing is waited for.
fn listening(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A listener, and the TLS that whoever comes in must speak, if any.
#[derive(Debug)]
pub struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

/// What listens to requests: a finished router, or what wraps one.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// Serves until the node stops. Requests in flight then finish (bounded by [`Tasks::join`]); idle connections close at
/// once. A connection too many is closed at once and counted: left in the kernel's queue it would cost its client the
/// whole of its patience, while another node could take it.
pub async fn serve(
    door: impl Into<Door>,
    service: impl Answers,
    limits: ListenerLimits,
    tasks: Tasks,
    connections: Connections,
) {
    let Door { listener, tls } = door.into();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let Some(opened) = connections.open(limits.connections_max) else { continue };
                let (service, tls, connection_tasks) = (service.clone(), tls.clone(), tasks.clone());
                drop(tasks.spawn(async move {
                    tokio::select! {
                        () = connection(stream, tls, service, limits, connection_tasks, opened.clone()) => {}
                        () = opened.gives_way() => {}
                    }
                }));
            }
            Err(error) => {
                // Out of file descriptors, usually: without a pause this loop would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Tls>,
    service: impl Answers,
    limits: ListenerLimits,
    tasks: Tasks,
    opened: Arc<Connection>,
) {
    let _ = stream.set_nodelay(true);
    let patience = opened.patience(limits.header_timeout, limits.header_timeout_full);
    // Here and not where connections are accepted: a client that is silent in its handshake holds up nobody.
    let stream = match tls {
        None => Either::Left(stream),
        Some(tls) => {
            let shaken = tokio::select! {
                shaken = tls.accept(stream, patience) => shaken,
                () = tasks.stopping() => return,
            };
            let Some(stream) = shaken else { return };
            // Boxed: it is large, and a plain connection should not pay for it.
            Either::Right(Box::new(stream))
        }
    };
    let (asking, seen, node) = (opened.clone(), opened.clone(), tasks.clone());
    let service = service.map_request(move |request| {
        asking.asks();
        request
    });
    let service = service.map_response(move |mut response: Response<Body>| {
        // Of a node that drains, so that kept connections are empty before it closes them (DR-1).
        if node.is_draining() || seen.is_hot() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    });
    let service = TowerToHyperService::new(MapErr::new(service, |never: Infallible| match never {}));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(limits.header_bytes_max)
        .max_headers(limits.header_fields_max)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = tasks.stopping() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
