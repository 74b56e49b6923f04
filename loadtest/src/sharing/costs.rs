//! What a way of sharing costs: adds to carts in shops that differ in nothing else, in alternating slices, so that a busy
//! machine disturbs all alike. The ratio to the first one counts, not the rates. Nothing is asserted.

use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::options::CostsOptions;
use crate::{
    End,
    adds::{ADDS_PER_SESSION, Load, Side, TIMEOUT, pick_skus, sessions, slice},
    client::Client,
    cluster::{Cluster, Setup},
    measure::spread,
    report,
};

/// One way of sharing.
struct Way {
    name: String,
    cluster: Cluster,
    load: Load,
    side: Side,
}

pub(crate) async fn run(options: CostsOptions) -> anyhow::Result<End> {
    let blueprint = std::env::temp_dir().join(format!("trestle-costs-{}.json", std::process::id()));
    std::fs::write(&blueprint, json!({"carts": options.shops.nodes}).to_string())?;
    let mut ways = Vec::new();
    let memory = options
        .strategies
        .iter()
        .map(|strategy| (format!("memory {strategy}"), ["--sharing".to_owned(), format!("carts={strategy}")]));
    let redis = options.redis.iter().map(|uri| (format!("redis {}", shown(uri)), ["--redis".to_owned(), uri.clone()]));
    for (number, (name, arguments)) in (0_u16..).zip(memory.chain(redis)) {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--blueprint".to_owned(), blueprint.display().to_string()]);
        let setup = Setup {
            trestle: options.shops.trestle(),
            name: format!("costs-{number}"),
            port: options.shops.port + 100 * number,
            arguments,
            ..Setup::default()
        };
        let cluster = Cluster::open(&setup).await?;
        let target = cluster.urls("frontend").await?.into_iter().next().context("no storefront")?;
        let client = Arc::new(Client::new(vec![target.clone()], TIMEOUT, TIMEOUT)?);
        let skus = pick_skus(&client, &target).await?;
        let load = Load { client, target, skus, adds_per_worker: ADDS_PER_SESSION };
        let mut warm_up = Side::default();
        slice(&load, sessions(&load, options.concurrency).await?, &mut warm_up).await?;
        ways.push(Way { name, cluster, load, side: Side::default() });
    }
    for _ in 0..options.slices {
        for way in &mut ways {
            slice(&way.load, sessions(&way.load, options.concurrency).await?, &mut way.side).await?;
        }
    }
    print(&options, &mut ways);
    for way in ways {
        way.cluster.end(false).await?;
    }
    std::fs::remove_file(&blueprint)?;
    Ok(End::Pass)
}

fn print(options: &CostsOptions, ways: &mut [Way]) {
    let adds = options.slices * options.concurrency * ADDS_PER_SESSION;
    let (nodes, at_once, slices) = (options.shops.nodes, options.concurrency, options.slices);
    report::line(&format!(
        "add to cart: {nodes} carts nodes, {adds} adds each, {at_once} at a time, {slices} alternating slices"
    ));
    report::line("| sharing | adds/s (median) | ratio to the first (min to max) | p50 | p99 | errors |");
    report::line("| --- | --- | --- | --- | --- | --- |");
    let first = ways.first().map(|way| way.side.rates.clone()).unwrap_or_default();
    for Way { name, side, .. } in ways {
        let mut ratios: Vec<f64> = side.rates.iter().zip(&first).map(|(rate, first)| rate / first).collect();
        let (min, median, max) = spread(&mut ratios);
        let rate = spread(&mut side.rates).1;
        let (p50_ms, p99_ms) = (side.latencies.percentile_ms(50.0), side.latencies.percentile_ms(99.0));
        let errors = side.errors;
        report::line(&format!(
            "| {name} | {rate:.0} | {median:.2} ({min:.2} to {max:.2}) | {p50_ms:.2} ms | {p99_ms:.2} ms | {errors} |"
        ));
    }
}

/// What tells this Redis from others, without its password.
fn shown(uri: &str) -> &str {
    uri.rsplit_once('@').map_or(uri, |(_, rest)| rest).trim_start_matches("redis://")
}
