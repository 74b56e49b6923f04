//! The naive chain: the three-tier service that somebody writes in an afternoon, with the libraries' defaults.
//!
//! No sessions, no retries, no deadlines, no admission, no replication. It must stay this bare, or the yardstick gets
//! shorter.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::{
    End,
    cli::{NaiveNodeOptions, Tier},
    client::naive_http,
    report,
};

/// The line a node prints once it listens, before its address.
pub(super) const LISTENING: &str = "listening on ";

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    sku: String,
    quantity: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cart {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Next {
    http: reqwest::Client,
    url: Url,
}

type Lines = Arc<Mutex<BTreeMap<String, u64>>>;

/// Serves one tier until standard input ends: a node must not outlive the yardstick, even when that is killed.
pub(crate) async fn serve(options: NaiveNodeOptions) -> anyhow::Result<End> {
    let routes = match (options.tier, options.next) {
        (Tier::Service, _) => Router::new().route("/api/cart/lines", post(keep)).with_state(Lines::default()),
        (_, next) => {
            let url = next.context("--next is required for this tier")?.join("/api/cart/lines")?;
            Router::new().route("/api/cart/lines", post(pass_on)).with_state(Next { http: naive_http(), url })
        }
    };
    let listener = tokio::net::TcpListener::bind(options.listen).await.context("--listen")?;
    report::line(&format!("{LISTENING}{}", listener.local_addr()?));
    let parent_is_gone = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = axum::serve(listener, routes) => served.context("serving")?,
        _ = parent_is_gone => {}
    }
    Ok(End::Pass)
}

async fn pass_on(State(next): State<Next>, Json(line): Json<Line>) -> Result<Json<Cart>, StatusCode> {
    let response = next.http.post(next.url).json(&line).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    response.json().await.map(Json).map_err(|_| StatusCode::BAD_GATEWAY)
}

async fn keep(State(lines): State<Lines>, Json(line): Json<Line>) -> Json<Cart> {
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    *lines.entry(line.sku).or_default() += line.quantity;
    let lines = lines.iter().map(|(sku, quantity)| Line { sku: sku.clone(), quantity: *quantity });
    Json(Cart { lines: lines.collect() })
}
