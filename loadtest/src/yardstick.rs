//! What do the promises cost? Add-to-cart through the shop's three tiers against a naive chain of three bare handlers.
//!
//! A time in milliseconds says more about the machine than about the shop, so both sides are measured on the same
//! machine in short alternating slices and only their ratio counts. Nothing is asserted.

pub(crate) mod naive;
mod nodes;

use std::sync::Arc;

use crate::{
    End,
    adds::{ADDS_PER_SESSION, Load, Side, TIMEOUT, pick_skus, sessions, slice},
    cli::{YardstickOptions, require_loopback},
    client::Client,
    measure::spread,
    report,
};

const SLICES_MIN: u32 = 10;

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

fn nobody(workers: u32) -> Vec<Option<String>> {
    (0..workers).map(|_| None).collect()
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
