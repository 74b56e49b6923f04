//! What is lost when nodes die. Each row: new customers, each told that something is done; so many nodes of the family
//! killed at once by SIGKILL; when all are ready again, every customer looks.
//!
//! For `nothing` the expectation is exact: what the dead nodes held, by their own count of entries.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use reqwest::{Method, Url};
use serde::Serialize;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::options::{KillsOptions, copies};
use crate::{
    End, InvalidRun,
    adds::pick_skus,
    client::{Call, Client, plain_http},
    cluster::{Cluster, Node, Setup},
    measure::Step,
    metrics, report, seams,
    wire::{Cart, Session},
};

const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a node may take to show what it holds.
const FIGURES_WITHIN: Duration = Duration::from_secs(5);
/// How long copies may take to be where they belong after kills.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// Customers that arrive at the same time.
const ARRIVE_AT_ONCE: usize = 16;

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    data_set: String,
    strategy: String,
    killed: u32,
    nodes: u32,
    acknowledged: u32,
    lost: u32,
    /// What may be lost.
    promised: String,
    held: bool,
    /// From the kill until every node was ready again.
    ready_after_ms: u128,
}

/// A customer and what was acknowledged: a session, with one piece in its cart.
#[derive(Debug, Clone)]
struct Customer {
    token: String,
    sku: String,
}

pub(crate) async fn run(options: KillsOptions) -> anyhow::Result<End> {
    let seed = options.seed.unwrap_or_else(seams::fresh_seed);
    let nodes = options.shops.nodes;
    for strategy in &options.strategies {
        let usage = || InvalidRun(format!("--strategies {strategy}: write nothing, something(N) or everything"));
        copies(strategy, nodes).ok_or_else(usage)?;
    }
    report::line(&format!("seed {seed}; {nodes} nodes of the family, {} customers in each row", options.customers));
    let (mut dice, mut rows) = (StdRng::seed_from_u64(seed), Vec::new());
    for data_set in &options.data_sets {
        for strategy in &options.strategies {
            rows.extend(measure(&options, data_set, strategy, &mut dice).await?);
        }
    }
    print(&rows);
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&json!({"seed": seed, "rows": rows}))?;
        std::fs::write(path, json).with_context(|| format!("--json {}", path.display()))?;
    }
    Ok(if rows.iter().all(|row| row.held) { End::Pass } else { End::Failed })
}

/// All rows of one strategy, in one shop.
async fn measure(
    options: &KillsOptions,
    data_set: &str,
    strategy: &str,
    dice: &mut StdRng,
) -> anyhow::Result<Vec<Row>> {
    let nodes = options.shops.nodes;
    // The other data set is shared by everything, so that only this one can lose anything.
    let other = if data_set == "carts" { "sessions" } else { "carts" };
    let blueprint = tempfile(&format!("kills-{data_set}-{}", std::process::id()), &json!({data_set: nodes}))?;
    let setup = Setup {
        trestle: options.shops.trestle(),
        name: format!("kills-{data_set}-{}", strategy.replace(['(', ')'], "-")),
        port: options.shops.port,
        arguments: vec![
            "--blueprint".to_owned(),
            blueprint.clone(),
            "--sharing".to_owned(),
            format!("{data_set}={strategy}"),
            "--sharing".to_owned(),
            format!("{other}=everything"),
        ],
        ..Setup::default()
    };
    let cluster = Cluster::open(&setup).await?;
    let copies = copies(strategy, nodes).unwrap_or(1);
    let mut rows = Vec::new();
    for killed in 1..nodes {
        rows.push(row(options, &cluster, data_set, killed, copies, dice).await?);
        if let Some(row) = rows.last_mut() {
            strategy.clone_into(&mut row.strategy);
            report::note(&format!("{data_set} {strategy}: {killed} killed, {} of {} lost", row.lost, row.acknowledged));
        }
    }
    std::fs::remove_file(&blueprint)?;
    cluster.end(rows.iter().any(|row| !row.held)).await?;
    Ok(rows)
}

async fn row(
    options: &KillsOptions,
    cluster: &Cluster,
    data_set: &str,
    killed: u32,
    copies: u32,
    dice: &mut StdRng,
) -> anyhow::Result<Row> {
    let http = plain_http(FIGURES_WITHIN)?;
    let client = Arc::new(Client::new(cluster.urls("frontend").await?, TIMEOUT, TIMEOUT)?);
    let mut members: Vec<Node> = cluster.status().await?.into_iter().filter(|node| node.family == data_set).collect();
    at_rest(&http, &members).await?;
    let before = entries(&http, &members).await?;
    let customers = arrive(&client, options.customers).await?;
    let after = entries(&http, &members).await?;
    members.shuffle(dice);
    let dead: Vec<&Node> = members.iter().take(killed as usize).collect();
    let held: u64 = dead.iter().map(|node| after[&node.id].saturating_sub(before[&node.id])).sum();
    let began = Instant::now();
    cluster.kill_at_once(&dead).await?;
    cluster.until_ready_without(&dead).await?;
    let ready_after_ms = began.elapsed().as_millis();
    let lost = look(&client, data_set, &customers).await?;
    let (promised, is_held) = match copies {
        _ if killed < copies => ("nothing".to_owned(), lost == 0),
        1 => (format!("what they held: {held}"), u64::from(lost) == held),
        _ => ("what only they held".to_owned(), true),
    };
    Ok(Row {
        data_set: data_set.to_owned(),
        strategy: String::new(),
        killed,
        nodes: options.shops.nodes,
        acknowledged: options.customers,
        lost,
        promised,
        held: is_held,
        ready_after_ms,
    })
}

/// Waits until no node has anything left to send, so that the row before does not count in the next.
async fn at_rest(http: &reqwest::Client, members: &[Node]) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let (mut waiting, mut known) = (0, 0);
        for node in members {
            waiting += figure(http, node, "trestle_replicated_outstanding").await?;
            known += 1;
        }
        if waiting == 0 {
            return Ok(());
        }
        ensure!(
            began.elapsed() < REST_WITHIN,
            "{known} nodes still have {waiting} entries to send after {REST_WITHIN:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn entries(http: &reqwest::Client, members: &[Node]) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut held = BTreeMap::new();
    for node in members {
        held.insert(node.id.clone(), figure(http, node, "trestle_replicated_entries").await?);
    }
    Ok(held)
}

/// A metric of one node, all its series; 0 when it has none.
async fn figure(http: &reqwest::Client, node: &Node, name: &str) -> anyhow::Result<u64> {
    let value = metrics::sum(&metrics::page(http, node).await?, name).unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of entries, at most a million"
    )]
    Ok(value as u64)
}

/// New customers with a session and one acknowledged add each, over all storefronts.
async fn arrive(client: &Arc<Client>, count: u32) -> anyhow::Result<Vec<Customer>> {
    let target = client.targets().first().context("no storefront")?;
    let skus = pick_skus(client, target).await?;
    let mut customers = Vec::new();
    let numbers: Vec<usize> = (0..count as usize).collect();
    for group in numbers.chunks(ARRIVE_AT_ONCE) {
        let mut arriving = JoinSet::new();
        for number in group {
            let (client, sku, number) = (client.clone(), skus[number % skus.len()].clone(), *number);
            arriving.spawn(async move { shop(&client, number, sku).await });
        }
        for customer in arriving.join_all().await {
            customers.push(customer?);
        }
    }
    Ok(customers)
}

async fn shop(client: &Client, number: usize, sku: String) -> anyhow::Result<Customer> {
    let target = &client.targets()[number % client.targets().len()];
    let open = Call { method: Method::POST, ..Call::get(Step::Session, "/api/session", None) };
    let token = client.once(target, &open, TIMEOUT).await?.json::<Session>()?.token;
    let body = json!({"sku": sku, "quantity": 1});
    let add = Call::post(Step::Add, "/api/cart/lines", &token, seams::fresh_key(), body);
    let added = client.once(target, &add, TIMEOUT).await?;
    ensure!(added.status == 200, "an add was answered {}", added.kind());
    Ok(Customer { token, sku })
}

/// How many customers miss what they were told is done. Whoever lost something can go on at once: no error loop.
async fn look(client: &Arc<Client>, data_set: &str, customers: &[Customer]) -> anyhow::Result<u32> {
    let mut lost = 0;
    for (number, customer) in customers.iter().enumerate() {
        let target = &client.targets()[number % client.targets().len()];
        let token = Some(customer.token.as_str());
        let is_there = match data_set {
            "sessions" => match client.once(target, &Call::get(Step::Session, "/api/session", token), TIMEOUT).await? {
                answer if answer.status == 200 => true,
                answer if answer.status == 401 => false,
                answer => anyhow::bail!("GET /api/session: {}", answer.kind()),
            },
            _ => {
                let answer = client.once(target, &Call::get(Step::Cart, "/api/cart", token), TIMEOUT).await?;
                ensure!(answer.status == 200, "GET /api/cart: {}", answer.kind());
                let cart = answer.json::<Cart>()?;
                cart.lines.iter().any(|line| line.sku == customer.sku && line.quantity == 1)
            }
        };
        if !is_there {
            lost += 1;
            goes_on(client, target, data_set, customer).await?;
        }
    }
    Ok(lost)
}

async fn goes_on(client: &Client, target: &Url, data_set: &str, customer: &Customer) -> anyhow::Result<()> {
    let call = if data_set == "sessions" {
        Call { method: Method::POST, ..Call::get(Step::Session, "/api/session", None) }
    } else {
        let body = json!({"sku": customer.sku, "quantity": 1});
        Call::post(Step::Add, "/api/cart/lines", &customer.token, seams::fresh_key(), body)
    };
    let answer = client.once(target, &call, TIMEOUT).await?;
    ensure!((200..300).contains(&answer.status), "a customer who lost {data_set} cannot go on: {}", answer.kind());
    Ok(())
}

fn print(rows: &[Row]) {
    report::line("| data set | sharing | nodes | killed at once | lost | of | may be lost | held | all ready after |");
    report::line("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for row in rows {
        let Row { data_set, strategy, nodes, killed, lost, acknowledged, promised, ready_after_ms, .. } = row;
        let held = if row.held { "yes" } else { "NO" };
        report::line(&format!(
            "| {data_set} | {strategy} | {nodes} | {killed} | {lost} | {acknowledged} | {promised} | {held} | \
             {ready_after_ms} ms |"
        ));
    }
}

/// A JSON file for `trestle up`.
fn tempfile(name: &str, content: &serde_json::Value) -> anyhow::Result<String> {
    let path = std::env::temp_dir().join(format!("trestle-{name}.json"));
    std::fs::write(&path, content.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}
