//! The shop's side of webhooks: takes them down and answers as told.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Ends when it is dropped.
pub(crate) struct Receiver {
    url: String,
    state: Arc<Mutex<Received>>,
    _server: JoinSet<()>,
}

struct Received {
    answer: StatusCode,
    webhooks: Vec<Webhook>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) signature: String,
    pub(crate) body: Bytes,
}

impl Webhook {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Receiver {
    pub(crate) async fn start(answer: StatusCode) -> Self {
        let state = Arc::new(Mutex::new(Received { answer, webhooks: Vec::new() }));
        let router = Router::new().route("/webhooks/provider", post(take)).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/provider", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on.
    pub(crate) fn answer(&self, answer: StatusCode) {
        self.state.lock().unwrap().answer = answer;
    }

    pub(crate) fn received(&self) -> Vec<Webhook> {
        self.state.lock().unwrap().webhooks.clone()
    }

    /// The references of the announced charges, in the order of their arrival.
    pub(crate) fn references(&self) -> Vec<String> {
        let reference = |webhook: &Webhook| webhook.event()["charge"]["reference"].as_str().unwrap().to_owned();
        self.received().iter().map(reference).collect()
    }
}

async fn take(State(state): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers["webhook-signature"].to_str().unwrap().to_owned();
    let mut received = state.lock().unwrap();
    received.webhooks.push(Webhook { signature, body });
    received.answer
}
