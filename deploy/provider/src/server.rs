//! The accept loop.
//!
//! Own instead of `axum::serve` for two reasons: a connection can be closed without an answer, which is what half of
//! the test tokens are about, and header time, header size and the number of connections are bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::answer::HangUp;
use crate::provider::Provider;

/// Twice the charges at once, so that refusals, probes and audits still get through; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 2_048;
/// Longest wait for a request's head. Above the 90 s after which common clients drop an idle connection: closing
/// first would race with a request that the client sends at that moment.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(120);
/// Largest request head, in bytes.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Pause after a failed accept; without it, running out of file descriptors would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `provider.stop`. Connections outlive it as tasks of the provider.
pub(crate) async fn accept(listener: TcpListener, router: Router, provider: Arc<Provider>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, _)) => Some((stream, place)),
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    None
                }
            }
        };
        let accepted = tokio::select! {
            () = provider.stop.cancelled() => return,
            accepted = next => accepted,
        };
        if let Some((stream, place)) = accepted {
            let serving = serve(stream, router.clone(), provider.clone());
            provider.tasks.spawn(async move {
                serving.await;
                drop(place);
            });
        }
    }
}

async fn serve(stream: TcpStream, router: Router, provider: Arc<Provider>) {
    // Answers are one small write each; waiting to fill a packet would only add to the latency that is measured.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let answering = router.clone().oneshot(request);
        async move {
            let response: Response = answering.await.unwrap_or_else(|never: Infallible| match never {});
            // An error is hyper's way to close the connection without an answer.
            if response.extensions().get::<HangUp>().is_some() { Err(HangUp) } else { Ok(response) }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT_MAX).max_buf_size(HEAD_MAX_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Errors are the other side's: it hung up, or sent no HTTP.
        _ = connection.as_mut() => return,
        () = provider.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => {}
        () = provider.abandon.cancelled() => {}
    }
}
