//! What do the promises cost? Add-to-cart through the shop's three tiers against a naive chain of three bare handlers.
//!
//! A time in milliseconds says more about the machine than about the shop, so both sides are measured on the same
//! machine in short alternating slices and only their ratio counts. Nothing is asserted.

pub(crate) mod naive;
mod nodes;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use reqwest::Url;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    End, InvalidRun,
    cli::{YardstickOptions, require_loopback},
    client::{Call, Client, with_query},
    measure::{Latencies, Step, spread},
    report, seams,
    wire::{ProductPage, Session},
};

/// Adds per session; a cart that grows for ever would measure the cart, and quotas count per session.
const ADDS_PER_SESSION: u32 = 50;
const SLICES_MIN: u32 = 10;
const SKUS: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(10);

/// One side's numbers.
#[derive(Debug, Default)]
struct Side {
    /// Requests per second of each slice.
    rates: Vec<f64>,
    latencies: Latencies,
    errors: u64,
}

/// What the workers of one slice send to one side.
#[derive(Debug, Clone)]
struct Load {
    client: Arc<Client>,
    target: Url,
    skus: Arc<[String]>,
    adds_per_worker: u32,
}

/// Measures and prints the comparison.
pub(crate) async fn run(options: YardstickOptions) -> anyhow::Result<End> {
    require_loopback("--target", &options.target, options.i_own_this_host)?;
    let client = Arc::new(Client::new(vec![options.target.clone()], TIMEOUT, TIMEOUT)?);
    let skus = pick_skus(&client, &options.target).await?;
    // Kept until the end of this function: dropping the chain kills its processes.
    let chain = nodes::Chain::start().await?;
    let workers = options.concurrency;
    let slices = options.requests.div_ceil(workers * ADDS_PER_SESSION).max(SLICES_MIN);
    let adds_per_worker = options.requests.div_ceil(slices * workers);
    let naive_load = Load { client: Arc::clone(&client), target: chain.frontend.clone(), skus, adds_per_worker };
    let shop_load = Load { target: options.target.clone(), ..naive_load.clone() };
    let (mut shop, mut naive, mut warm_up) = (Side::default(), Side::default(), Side::default());
    slice(&shop_load, sessions(&shop_load, workers).await?, &mut warm_up).await?;
    slice(&naive_load, nobody(workers), &mut warm_up).await?;
    for _ in 0..slices {
        // The sessions are opened before the clock starts: opening them is not what is compared.
        slice(&shop_load, sessions(&shop_load, workers).await?, &mut shop).await?;
        slice(&naive_load, nobody(workers), &mut naive).await?;
    }
    let adds = slices * workers * adds_per_worker;
    report::line(&format!("add to cart, {adds} each, {workers} at a time, {slices} alternating slices"));
    print(&mut shop, &mut naive);
    Ok(End::Pass)
}

/// A few products with plenty in stock, so that both sides' carts stay equally small.
async fn pick_skus(client: &Client, target: &Url) -> anyhow::Result<Arc<[String]>> {
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

fn nobody(workers: u32) -> Vec<Option<String>> {
    (0..workers).map(|_| None).collect()
}

async fn sessions(load: &Load, workers: u32) -> anyhow::Result<Vec<Option<String>>> {
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
async fn slice(load: &Load, tokens: Vec<Option<String>>, side: &mut Side) -> anyhow::Result<()> {
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

fn print(shop: &mut Side, naive: &mut Side) {
    let mut ratios: Vec<f64> = shop.rates.iter().zip(&naive.rates).map(|(shop, naive)| shop / naive).collect();
    for (name, side) in [("shop", shop), ("naive", naive)] {
        let rate = spread(&mut side.rates).1;
        let (p50_ms, p99_ms) = (side.latencies.percentile_ms(50.0), side.latencies.percentile_ms(99.0));
        let errors = side.errors;
        report::line(&format!(
            "{name:<6} {rate:>8.0} adds/s (median)  p50 {p50_ms:.2} ms  p99 {p99_ms:.2} ms  errors {errors}"
        ));
    }
    let (min, median, max) = spread(&mut ratios);
    report::line(&format!("shop/naive throughput: {median:.2} (min {min:.2}, max {max:.2} over the slice pairs)"));
}
