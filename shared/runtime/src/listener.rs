//! The accept loop of every listener. axum's own has no header timeout, so a silent client would hold a connection for
//! ever; hyper's plain HTTP/1 builder closes silent, half-sent and idle connections alike.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, net::TcpStream, sync::Semaphore};

use crate::Tasks;

/// Bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// Most open connections; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a request's head may take, and how long an idle connection is kept. Clients must drop idle connections
    /// sooner (DR-3), or they would send into a closing one.
    pub header_timeout: Duration,
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
        header_bytes_max: 16 * 1024,
        header_fields_max: 64,
    };
    /// Between tiers: longer idle time than the client's pool keeps a connection.
    pub const INNER: Self = Self {
        connections_max: 4_000,
        header_timeout: Duration::from_secs(60),
        header_bytes_max: 16 * 1024,
        header_fields_max: 64,
    };
}

/// Binds a listener.
///
/// # Errors
/// When the address cannot be had; the message names the setting and what to do.
pub async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!(
                "{setting} {address}: the port is taken; end the process that uses it or choose another port"
            )
        }
        _ => anyhow::anyhow!("{setting} {address}: cannot listen there: {error}"),
    })
}

/// Serves a router until the node stops. Requests in flight then finish (bounded by [`Tasks::join`]); idle connections
/// close at once.
pub async fn serve(listener: TcpListener, router: Router, limits: ListenerLimits, tasks: Tasks) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, connection_tasks) = (router.clone(), tasks.clone());
                drop(tasks.spawn(async move {
                    connection(stream, router, limits, connection_tasks).await;
                    drop(permit);
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

async fn connection(stream: TcpStream, router: Router, limits: ListenerLimits, tasks: Tasks) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(tower::util::MapErr::new(router, |never: Infallible| match never {}));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
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
