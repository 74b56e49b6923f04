//! How much of the database does the shop leave to be used? Checkouts per second through the whole shop against `pgbench`
//! running the same statements on the same server, in alternating slices of one run.
//!
//! A rate alone says more about the machine than about the shop. `pgbench` sends exactly what the nodes send for one
//! checkout (`pgbench/checkout.sql`), with as many clients, to tables made from the shop's own by `pg_dump`, and does
//! nothing else: no HTTP, no JSON, no payment provider. It is the ceiling, and the ratio is what the rest costs. A slice of
//! the shop ends when the last event of its checkouts is delivered. `pgbench` settles in batches too; what a slice of it
//! leaves, its next one settles.
//!
//! Nothing is asserted but that both sides did what they count: as many orders, charges and settled reservations in the
//! tables as checkouts in the figures.

pub(crate) mod options;
mod pgbench;
mod rows;
mod shop;

use std::time::Duration;

use crate::{
    End, InvalidRun,
    cli::require_loopback,
    measure::{Latencies, spread},
    report,
};
use options::CheckoutsOptions;
use pgbench::Pgbench;
use rows::Rows;
use shop::Shop;

/// What one slice came to.
#[derive(Debug)]
struct Slice {
    checkouts: u64,
    took: Duration,
}

impl Slice {
    #[expect(clippy::cast_precision_loss, reason = "checkouts of one run, far below 2^53")]
    fn rate(&self) -> f64 {
        self.checkouts as f64 / self.took.as_secs_f64().max(0.001)
    }
}

/// Measures and prints the comparison.
pub(crate) async fn run(options: CheckoutsOptions) -> anyhow::Result<End> {
    for target in &options.target {
        require_loopback("--target", target, options.i_own_this_host)?;
    }
    require_loopback("--database", &options.database, options.i_own_this_host)?;
    let rows = Rows::open(&options.database).await?;
    let shop = Shop::open(&options, &rows).await?;
    let before = rows.counts().await?;
    report::line(&format!(
        "checkouts of one line each, {} clients, {} alternating slices of {:?}; the shop's side includes the provider, \
         which syncs its ledger once for each group of charges",
        options.clients, options.slices, options.slice
    ));
    let mut counted = 0;
    let (warm_up, mut ignored) = (options.slice / 2, Latencies::default());
    let mut last = shop.slice(options.clients, warm_up, None, &mut ignored).await?;
    counted += last.slice.checkouts;
    let mut pgbench = Pgbench::open(&options, &rows.sample().await?).await?;
    pgbench.slice(options.clients, warm_up).await?;

    let (mut ours, mut theirs, mut latencies) = (Vec::new(), Vec::new(), Latencies::default());
    for number in 1..=options.slices {
        last = shop.slice(options.clients, options.slice, Some(last.slice.rate()), &mut latencies).await?;
        counted += last.slice.checkouts;
        let bench = pgbench.slice(options.clients, options.slice).await?;
        let (our_rate, their_rate) = (last.slice.rate(), bench);
        report::line(&format!(
            "slice {number}: shop {our_rate:.0}/s ({} checkouts, {} events were left and took {:.0} ms), pgbench \
             {their_rate:.0}/s, ratio {:.2}",
            last.slice.checkouts,
            last.events_left,
            last.drained.as_secs_f64() * 1_000.0,
            our_rate / their_rate
        ));
        ours.push(our_rate);
        theirs.push(their_rate);
    }
    let mut alone = Latencies::default();
    let single = shop.slice(1, options.slice, Some(last.slice.rate()), &mut alone).await?;
    counted += single.slice.checkouts;
    let bench_alone = pgbench.slice(1, options.slice).await?;

    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let (shop_rate, bench_rate) = (spread(&mut ours).1, spread(&mut theirs).1);
    let (least, ratio, most) = spread(&mut ratios);
    report::line(&format!("median: shop {shop_rate:.0}/s, pgbench {bench_rate:.0}/s"));
    report::line(&format!("ratio shop/pgbench: {ratio:.2} (median of the pairs; {least:.2} to {most:.2})"));
    report::line(&format!(
        "checkout with {} clients: p50 {:.1} ms, p99 {:.1} ms",
        options.clients,
        latencies.percentile_ms(50.0),
        latencies.percentile_ms(99.0)
    ));
    report::line(&format!(
        "checkout with one client: p50 {:.2} ms, p99 {:.2} ms ({} checkouts; pgbench {:.2} ms on average)",
        alone.percentile_ms(50.0),
        alone.percentile_ms(99.0),
        single.slice.checkouts,
        1_000.0 / bench_alone.max(0.001)
    ));
    let (ours, theirs) = (rows.counts().await?.since(&before), pgbench.rows().counts().await?);
    pgbench.end().await?;
    verify("shop", counted, &ours)?;
    verify("pgbench", pgbench.transactions(), &theirs)?;
    report::line(&format!(
        "rows: shop {counted} checkouts = orders = charges = settled; pgbench {} = orders = charges = settled",
        pgbench.transactions()
    ));
    Ok(End::Pass)
}

/// Both must have done what they were counted for, or the comparison compares nothing.
fn verify(side: &str, checkouts: u64, rows: &rows::Counts) -> Result<(), InvalidRun> {
    let rows::Counts { completed, charged, settled } = *rows;
    if [completed, charged, settled] == [checkouts; 3] {
        return Ok(());
    }
    Err(InvalidRun(format!(
        "{side}: {checkouts} checkouts were counted, but there are {completed} completed orders, {charged} charges and \
         {settled} settled reservations; did somebody else use the shop?"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_that_did_less_than_it_counts_is_no_result() {
        let rows = |completed, charged, settled| rows::Counts { completed, charged, settled };
        assert!(verify("shop", 5, &rows(5, 5, 5)).is_ok());
        for missing in [rows(4, 5, 5), rows(5, 4, 5), rows(5, 5, 4), rows(6, 6, 6)] {
            assert!(verify("shop", 5, &missing).is_err(), "{missing:?}");
        }
    }

    #[test]
    fn a_rate_is_per_second() {
        let slice = Slice { checkouts: 500, took: Duration::from_millis(2_500) };
        assert!((slice.rate() - 200.0).abs() < 1e-9);
    }
}
