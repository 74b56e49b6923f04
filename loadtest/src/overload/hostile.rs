//! Clients that mean no good, against one storefront: requests that never end, connections that say nothing, heads and
//! bodies that are too large or too slow. Meanwhile ordinary customers shop at both storefronts, on connections that come
//! and go. They must be served, and the storefront's memory must stay bounded.

mod attack;

use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;

use self::attack::{Attack, Attackers};
use super::{
    Findings, Lab,
    figures::{Bound, Figure, Unit},
    machine::Process,
    shop::Shop,
    spike::timeline,
    step::{Load, Step, offer_while, one_request_each},
    sums::share,
};
use crate::report;

/// Ordinary customers' requests a second, over both storefronts.
const RATE: f64 = 40.0;
/// Customers are there by then, and have their connections.
const BEGUN: Duration = Duration::from_secs(2);
/// Customers while an attack lasts.
const SERVED: f64 = 0.99;
/// A storefront under attack may not take more memory than this: several times what it takes usually.
const MEMORY_MAX_MIB: f64 = 256.0;
/// After an attack, so that the next finds a storefront at rest.
const REST: Duration = Duration::from_secs(2);

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "hostile", 2, None).await?;
    let victim = shop.nodes("frontend").await?.into_iter().next().context("no storefront")?;
    let process = Process(victim.pid.context("the storefront has no process")?);
    let mut found = Findings::default();
    // The attackers send from this process, so its customers may be late.
    let load = Load { counted: true, ..Load::steady(one_request_each(), RATE, BEGUN + lab.options.step) };
    for attack in Attack::ALL {
        report::note(&format!("{} at {}", attack.what(), victim.id));
        let before_kib = process.rss_kib();
        let assault = async {
            sleep(BEGUN).await;
            let mut attackers = Attackers::begin(attack, &victim.address).await?;
            let mut most_kib = 0;
            // To the end of the load, and not beyond it.
            for _ in 0..lab.options.step.as_millis() / 250 {
                sleep(Duration::from_millis(250)).await;
                most_kib = process.rss_kib().max(most_kib);
            }
            anyhow::Ok((attackers.end().await, most_kib))
        };
        let (seen, (told, most_kib)) = offer_while(lab.options, &shop, &load, lab.seed, assault).await?;
        let step = Step::new(1.0, true, &seen);
        step.note();
        let success = share(step.counts.good, step.counts.offered);
        let what = format!("{}: ordinary customers served", attack.what());
        found.figures.push(
            Figure::new("H", what, Unit::Percent, success)
                .must(Bound::AtLeast(SERVED), Bound::AtLeast(0.999))
                .of(told)
                .of(format!("p99 {:.1} ms; {}", step.p99_ms, step.troubles()))
                .unless(&step.invalid),
        );
        #[expect(clippy::cast_precision_loss, reason = "KiB of one process")]
        let mib = |kib: u64| kib as f64 / 1_024.0;
        found.figures.push(
            Figure::new("H", format!("{}: memory of the storefront", attack.what()), Unit::Mib, Some(mib(most_kib)))
                .must(Bound::AtMost(MEMORY_MAX_MIB), Bound::AtMost(MEMORY_MAX_MIB / 2.0))
                .of(format!("before {:.0} MiB", mib(before_kib))),
        );
        found.timelines.push(timeline(attack.what(), &seen));
        sleep(REST).await;
    }
    let now = process.rss_kib();
    report::note(&format!("{} takes {} KiB in the end", victim.id, now));
    shop.end().await?;
    Ok(found)
}
