//! The shop's side: carts are filled before a slice, and only checkouts are measured.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use reqwest::{Method, Url};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Slice, options::CheckoutsOptions, rows::Rows};
use crate::{
    InvalidRun,
    client::{Answer, Call, Client, with_query},
    measure::{Latencies, Step},
    seams,
    wire::{Cart, Money, ProductPage, Session},
};

/// Products that are bought, one a checkout: enough that two checkouts seldom wait for one row of stock.
pub(super) const SKUS: usize = 50;
/// Assumed for the first slice.
const FIRST_RATE: f64 = 500.0;
/// Carts made for each checkout that is expected.
const SPARE: f64 = 1.5;
const PREPARING: u32 = 16;
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often the outbox is looked at when the customers are done.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);

/// A cart with one line.
#[derive(Debug)]
struct Filled {
    token: String,
    total: Money,
    target: usize,
}

/// The shop, and what is bought there.
#[derive(Debug)]
pub(super) struct Shop<'a> {
    client: Arc<Client>,
    skus: Arc<[String]>,
    rows: &'a Rows,
}

/// One slice of the shop.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) slice: Slice,
    /// Events not yet delivered when the last customer had the answer, and how long they took.
    pub(super) events_left: u64,
    pub(super) drained: Duration,
}

type Carts = Arc<Mutex<VecDeque<Filled>>>;

impl<'a> Shop<'a> {
    pub(super) async fn open(options: &CheckoutsOptions, rows: &'a Rows) -> anyhow::Result<Self> {
        rows.restock().await?;
        let client = Arc::new(Client::new(options.target.clone(), TIMEOUT, TIMEOUT)?);
        let target = &client.targets()[0];
        let call = Call::get(Step::Browse, &with_query("/api/products", &[("limit", "100")]), None);
        let answer = client.once(target, &call, TIMEOUT).await.map_err(|error| {
            InvalidRun(format!("--target {target} does not answer ({error}); start the shop with --database first"))
        })?;
        let page: ProductPage = answer.json().with_context(|| format!("--target {target}"))?;
        let skus: Arc<[String]> = page.items.into_iter().take(SKUS).map(|product| product.sku).collect();
        ensure!(!skus.is_empty(), "the shop has no products");
        Ok(Self { client, skus, rows })
    }

    /// Fills carts, then has them bought by this many clients for this long; ends when the last event is delivered.
    pub(super) async fn slice(
        &self,
        clients: u32,
        lasts: Duration,
        expected_rate: Option<f64>,
        latencies: &mut Latencies,
    ) -> anyhow::Result<Measured> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of carts, below a million"
        )]
        let wanted = (expected_rate.unwrap_or(FIRST_RATE) * SPARE * lasts.as_secs_f64()).clamp(200.0, 500_000.0) as u32;
        let carts: Carts = Arc::new(Mutex::new(self.fill(wanted).await?));
        self.delivered().await?;
        let mut customers = JoinSet::new();
        let started = Instant::now();
        for _ in 0..clients {
            let (client, carts) = (Arc::clone(&self.client), Arc::clone(&carts));
            customers.spawn(async move { buy(&client, &carts, started + lasts).await });
        }
        let mut checkouts = 0;
        for bought in customers.join_all().await {
            for took in bought? {
                latencies.record(took);
                checkouts += 1;
            }
        }
        let answered = started.elapsed();
        let events_left = self.rows.events().await?;
        self.delivered().await?;
        let took = started.elapsed();
        Ok(Measured { slice: Slice { checkouts, took }, events_left, drained: took - answered })
    }

    /// Sessions with one line in their carts.
    async fn fill(&self, wanted: u32) -> anyhow::Result<VecDeque<Filled>> {
        let mut workers = JoinSet::new();
        for worker in 0..PREPARING {
            let (client, skus) = (Arc::clone(&self.client), Arc::clone(&self.skus));
            workers.spawn(async move {
                let mut carts = Vec::new();
                for number in (worker..wanted).step_by(PREPARING as usize) {
                    carts.push(fill_one(&client, &skus, number as usize).await?);
                }
                anyhow::Ok(carts)
            });
        }
        let mut carts = VecDeque::new();
        for filled in workers.join_all().await {
            carts.extend(filled?);
        }
        Ok(carts)
    }

    async fn delivered(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.rows.events().await? > 0 {
            ensure!(started.elapsed() < DELIVERED_WITHIN, "the outbox is not empty after {DELIVERED_WITHIN:?}");
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

async fn fill_one(client: &Client, skus: &[String], number: usize) -> anyhow::Result<Filled> {
    let target = number % client.targets().len();
    let url = &client.targets()[target];
    let (step, method, path) = (Step::Session, Method::POST, "/api/session".to_owned());
    let open = Call { step, method, path, token: None, key: None, body: None };
    let Session { token } = expect(client, url, &open).await?.json()?;
    let body = json!({"sku": skus[number % skus.len()], "quantity": 1});
    let add = Call::post(Step::Add, "/api/cart/lines", &token, seams::fresh_key(), body);
    let cart: Cart = expect(client, url, &add).await?.json()?;
    Ok(Filled { token, total: cart.total, target })
}

/// One client: cart after cart until the time or the carts are up. How long each checkout took.
async fn buy(client: &Client, carts: &Carts, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let next = carts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(Filled { token, total, target }) = next else { break };
        let body = json!({"payment": {"token": "tok_ok"}, "expected_total": total});
        let call = Call::post(Step::Checkout, "/api/checkout", &token, seams::fresh_key(), body);
        let started = Instant::now();
        let answer = expect(client, &client.targets()[target], &call).await?;
        took.push(started.elapsed());
        ensure!(answer.status == 201, "a checkout was answered {}", answer.kind());
    }
    Ok(took)
}

/// One attempt that must succeed: a measurement in which requests fail measures something else.
async fn expect(client: &Client, url: &Url, call: &Call) -> anyhow::Result<Answer> {
    let answer = client.once(url, call, TIMEOUT).await.with_context(|| format!("{} {}", call.method, call.path))?;
    if !(200..300).contains(&answer.status) {
        bail!("{} {} was answered {}", call.method, call.path, answer.kind());
    }
    Ok(answer)
}
