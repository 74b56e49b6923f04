//! The operations-only listener: liveness, readiness, metrics, build information (DR-6: only readiness may depend on
//! anything outside the process).

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use axum::{Json, Router, http::StatusCode, routing::get};
use serde::Serialize;

use crate::Metrics;

/// Whether a node wants new work. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    /// A node that is starting.
    #[must_use]
    pub fn starting() -> Self {
        Self::default()
    }

    /// The node takes work, unless it is draining already.
    pub fn set_ready(&self) {
        let _ = self.0.compare_exchange(STARTING, READY, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The node must first catch up, for example after it was paused; no way back from draining.
    pub fn set_starting(&self) {
        let _ = self.0.compare_exchange(READY, STARTING, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The node finishes what it has and takes nothing new.
    pub fn set_draining(&self) {
        self.0.store(DRAINING, Ordering::SeqCst);
    }

    /// Whether it takes work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::SeqCst) == READY
    }

    /// Whether it must still catch up.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.0.load(Ordering::SeqCst) == STARTING
    }

    /// Whether it is draining.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::SeqCst) == DRAINING
    }

    /// The answer of `/health/ready`: 200 `ready`, or 503 with the reason.
    #[must_use]
    pub fn answer(&self) -> (StatusCode, &'static str) {
        match self.0.load(Ordering::SeqCst) {
            READY => (StatusCode::OK, "ready"),
            DRAINING => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        }
    }
}

/// What `/info` answers.
#[derive(Clone, Debug, Serialize)]
pub struct BuildInfo {
    /// Family.
    pub family: String,
    /// Node id.
    pub id: String,
    /// Crate version.
    pub version: &'static str,
    /// Commit it was built from, if the builder said so (`TRESTLE_COMMIT` at compile time, as the image's build does).
    pub commit: Option<&'static str>,
    /// When it was built, RFC 3339, if the builder said so (`TRESTLE_BUILT_AT`).
    pub built_at: Option<&'static str>,
    /// Process id.
    pub pid: u32,
    /// When the process started, RFC 3339.
    pub started_at: String,
}

/// The routes of the operations listener.
pub(crate) fn routes(readiness: Readiness, metrics: Metrics, info: BuildInfo) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live" }))
        .route("/health/ready", get(move || async move { readiness.answer() }))
        .route("/metrics", get(move || async move { metrics.page() }))
        .route("/info", get(move || async move { Json(info) }))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Node, Seams, Secret};

    /// DR-6: or a store that is down, or an end that takes its time, would make the engine kill every node.
    #[tokio::test]
    async fn a_node_is_alive_whatever_it_waits_for() {
        let secret = Secret::new("0123456789abcdef").unwrap();
        let node = Node::assemble("orders", "1", Seams::system(), secret).unwrap();
        let ask = async |path: &str| {
            let routes = routes(node.readiness.clone(), node.metrics.clone(), node.build_info());
            let answer = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let status = answer.status().as_u16();
            (status, String::from_utf8(to_bytes(answer.into_body(), 100).await.unwrap().to_vec()).unwrap())
        };
        let said = |status, text: &str| (status, text.to_owned());
        assert_eq!((ask("/health/live").await, ask("/health/ready").await), (said(200, "live"), said(503, "starting")));
        node.readiness.set_ready();
        assert_eq!((ask("/health/live").await, ask("/health/ready").await), (said(200, "live"), said(200, "ready")));
        node.readiness.set_draining();
        assert_eq!((ask("/health/live").await, ask("/health/ready").await), (said(200, "live"), said(503, "draining")));
        node.readiness.set_ready();
        assert_eq!(ask("/health/ready").await, said(503, "draining"), "there is no way back");
    }
}
