//! A node is killed by SIGKILL at 70 % load: customers hardly notice, and afterwards every checkout is held against the
//! provider's ledger: no order is lost, none is made twice.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::sleep;

use super::{
    Findings, Lab,
    figures::{Bound, Figure, Unit},
    shop::{Model, Shop},
    spike::timeline,
    step::{Load, Seen, Step, offer_while},
    sums::share,
};
use crate::{
    audit::{self, Audit, Verdict, collect::Sources},
    client::{Client, plain_http, read_ledger},
    open::mix::Mix,
    report,
    wire::Charge,
};

/// One of each tier that customers' requests pass.
const FAMILIES: [&str; 3] = ["logic", "orders", "frontend"];
const LOAD: f64 = 0.7;
/// Requests that take a slot of the model, for each arrival of the shop's mix: of 19, three take none and one takes three.
const REQUESTS_EACH: f64 = 18.0 / 19.0;
/// Customers are there by then.
const BEGUN: Duration = Duration::from_secs(5);
/// A checkout answers within five seconds.
const TIMEOUT: Duration = Duration::from_secs(10);
const LEDGER_WITHIN: Duration = Duration::from_secs(30);
const QUIESCE: Duration = Duration::from_secs(60);

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "kill", 2, Some(Model::of(lab.options))).await?;
    let peak = lab.peak(&shop).await?.rate;
    let rate = LOAD * peak / REQUESTS_EACH;
    let mut found = Findings::default();
    for family in FAMILIES {
        report::note(&format!("{rate:.0} arrivals a second of the shop's mix; then one {family} is killed"));
        let http = plain_http(LEDGER_WITHIN)?;
        let before = read_ledger(&http, &shop.provider).await?.charges;
        let load =
            Load { timeout: TIMEOUT, counted: true, ..Load::steady(Mix::shop(), rate, BEGUN + lab.options.step) };
        let (seen, ()) = offer_while(lab.options, &shop, &load, lab.seed, kill(&shop, family)).await?;
        let step = Step::new(LOAD, lab.options.protection, &seen);
        step.note();
        let audit = check(&shop, http, &seen, before).await?;
        found.figures.extend(judge(family, &step, &seen, &audit));
        found.timelines.push(timeline(&format!("{family} killed"), &seen));
    }
    shop.end().await?;
    Ok(found)
}

/// Kills one node of a family, and tells it what it knew when it is back.
async fn kill(shop: &Shop, family: &str) -> anyhow::Result<()> {
    sleep(BEGUN).await;
    let victim = shop.nodes(family).await?.into_iter().next_back().context("no node to kill")?;
    report::note(&format!("{} is killed", victim.id));
    shop.cluster.kill_at_once(&[&victim]).await?;
    shop.cluster.until_ready_without(&[&victim]).await?;
    shop.remind(&victim).await
}

async fn check(shop: &Shop, http: reqwest::Client, seen: &Seen, before: Vec<Charge>) -> anyhow::Result<Audit> {
    report::note(&format!("auditing {} checkouts", seen.run.checkouts.len()));
    let client = Arc::new(Client::new(shop.frontends.clone(), TIMEOUT, LEDGER_WITHIN)?);
    let sources = Sources { client, http, provider: shop.provider.clone(), quiesce: QUIESCE };
    let evidence = audit::collect::collect(&sources, &seen.run.checkouts, before, true).await?;
    Ok(audit::judge(&evidence))
}

fn judge(family: &str, step: &Step, seen: &Seen, audit: &Audit) -> [Figure; 2] {
    let wrong = match audit.verdict {
        // Gaps are no proof of anything.
        Verdict::Unknown => None,
        #[expect(clippy::cast_precision_loss, reason = "a number of sentences")]
        _ => Some(audit.discrepancies.len() as f64),
    };
    let mut orders =
        Figure::new("F10", format!("a node of {family} killed at 70 %: orders lost or doubled"), Unit::Count, wrong)
            .must(Bound::AtMost(0.0), Bound::AtMost(0.0))
            .of(format!(
                "audit: orders {} charges {} acknowledged {} recovered {}: {}",
                audit.orders, audit.charges, audit.acknowledged, audit.recovered, audit.verdict
            ));
    for sentence in audit.discrepancies.iter().chain(&audit.gaps).take(5) {
        orders = orders.of(sentence.clone());
    }
    let counts = seen.run.total().counts;
    let errors = Figure::new(
        "F10",
        format!("a node of {family} killed at 70 %: errors"),
        Unit::Percent,
        share(counts.failed(), counts.offered),
    )
    .must(Bound::AtMost(0.01), Bound::AtMost(0.002))
    .of(format!(
        "{} shed, {} errors, {} timeouts of {}; {}",
        counts.shed,
        counts.error,
        counts.timeout,
        counts.offered,
        step.troubles()
    ))
    .unless(&step.invalid);
    [orders, errors]
}
