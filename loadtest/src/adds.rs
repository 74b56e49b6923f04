//! Adds to carts as fast as answers come back, in slices that alternate between shops: how `yardstick` and `sharing costs`
//! load both sides alike.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use reqwest::Url;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    InvalidRun,
    client::{Call, Client, with_query},
    measure::{Latencies, Step},
    seams,
    wire::{ProductPage, Session},
};

/// Adds per session; a cart that grows for ever would measure the cart, and quotas count per session.
pub(crate) const ADDS_PER_SESSION: u32 = 50;
const SKUS: usize = 5;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// One side's numbers.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Requests per second of each slice.
    pub(crate) rates: Vec<f64>,
    pub(crate) latencies: Latencies,
    pub(crate) errors: u64,
}

/// What the workers of one slice send to one side.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) client: Arc<Client>,
    pub(crate) target: Url,
    pub(crate) skus: Arc<[String]>,
    pub(crate) adds_per_worker: u32,
}

/// A few products with plenty in stock, so that both sides' carts stay equally small.
pub(crate) async fn pick_skus(client: &Client, target: &Url) -> anyhow::Result<Arc<[String]>> {
    let call = Call::get(Step::Browse, &with_query("/api/products", &[("limit", "100")]), None);
    let answer = client.once(target, &call, TIMEOUT).await.map_err(|error| {
        InvalidRun(format!("--target {target} does not answer ({error}); start the shop with `cargo run --release`"))
    })?;
    let mut products =
        answer.json::<ProductPage>().map_err(|error| InvalidRun(format!("--target {target}: {error:#}")))?.items;
    products.retain(|product| product.available > 0);
    products.sort_by_key(|product| std::cmp::Reverse(product.available));
    if products.is_empty() {
        return Err(InvalidRun(format!("the shop at --target {target} has nothing in stock")).into());
    }
    Ok(products.into_iter().take(SKUS).map(|product| product.sku).collect())
}

pub(crate) async fn sessions(load: &Load, workers: u32) -> anyhow::Result<Vec<Option<String>>> {
    let (step, method, path) = (Step::Session, reqwest::Method::POST, "/api/session".to_owned());
    let call = Call { step, method, path, token: None, key: None, body: None };
    let mut tokens = Vec::new();
    for _ in 0..workers {
        let answer = load.client.once(&load.target, &call, TIMEOUT).await.context("POST /api/session")?;
        tokens.push(Some(answer.json::<Session>().context("POST /api/session")?.token));
    }
    Ok(tokens)
}

/// All workers send their adds as fast as answers come back; the slice ends with the last answer.
pub(crate) async fn slice(load: &Load, tokens: Vec<Option<String>>, side: &mut Side) -> anyhow::Result<()> {
    let mut workers = JoinSet::new();
    let started = Instant::now();
    for (number, token) in tokens.into_iter().enumerate() {
        let load = load.clone();
        workers.spawn(async move {
            let mut took = Vec::new();
            for add in 0..load.adds_per_worker as usize {
                let body = json!({"sku": load.skus[(number + add) % load.skus.len()], "quantity": 1});
                let (method, path) = (reqwest::Method::POST, "/api/cart/lines".to_owned());
                // The naive chain has no use for a key and would ignore it; it is sent none.
                let key = token.is_some().then(seams::fresh_key);
                let call = Call { step: Step::Add, method, path, token: token.clone(), key, body: Some(body) };
                let sent = Instant::now();
                let answer = load.client.once(&load.target, &call, TIMEOUT).await;
                let good = answer.is_ok_and(|answer| (200..300).contains(&answer.status));
                took.push(good.then(|| sent.elapsed()));
            }
            took
        });
    }
    let all = workers.join_all().await;
    let elapsed_s = started.elapsed().as_secs_f64();
    let mut good = 0_u32;
    for took in all.into_iter().flatten() {
        match took {
            Some(took) => {
                good += 1;
                side.latencies.record(took);
            }
            None => side.errors += 1,
        }
    }
    if good == 0 {
        return Err(InvalidRun(format!("no add succeeded in a slice against {}", load.target)).into());
    }
    ensure!(elapsed_s > 0.0, "the clock stands still");
    side.rates.push(f64::from(good) / elapsed_s);
    Ok(())
}
