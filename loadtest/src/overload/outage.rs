//! A total outage of a service family: every catalogue node fails every call, and a product's page needs exactly one of
//! them. How many attempts reach the bottom tier for each request of a customer? Each layer that tries three times would
//! make it nine, just when there is nothing to spare.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Findings, Lab,
    figures::{Bound, Figure, Unit},
    shop::{Model, Shop},
    spike::timeline,
    step::{Load, Step, offer_while},
    sums::share,
};
use crate::{
    open::mix::{Action, Mix},
    report,
};

/// Requests a second: enough to see what retries make of them.
const RATE: f64 = 100.0;
/// The first customers are served by then; as long again all is well.
const CALM: Duration = Duration::from_secs(3);
/// How long is looked at it afterwards.
const AFTER: Duration = Duration::from_secs(5);

/// Attempts at the bottom tier over a stretch of time.
#[derive(Debug, Clone, Copy)]
struct Attempts {
    began: Instant,
    count: u64,
}

impl Attempts {
    async fn look(shop: &Shop) -> anyhow::Result<Self> {
        let count = shop.served("catalogue", "catalogue.products").await?.values().sum();
        Ok(Self { began: Instant::now(), count })
    }

    /// For each request of a customer: they come evenly, so the clock counts them.
    #[expect(clippy::cast_precision_loss, reason = "calls of one run, far below 2^53")]
    fn each(self, later: Self) -> Option<f64> {
        let requests = RATE * later.began.saturating_duration_since(self.began).as_secs_f64();
        (requests > 0.0).then(|| later.count.saturating_sub(self.count) as f64 / requests)
    }
}

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "outage", 2, Some(Model::of(lab.options))).await?;
    let mix = Mix::new("product pages", &[(Action::Product, 1.0)]);
    let lasts = 2 * CALM + lab.options.step + AFTER;
    let load = Load { even: true, counted: true, ..Load::steady(mix, RATE, lasts) };
    let script = async {
        sleep(CALM).await;
        let first = Attempts::look(&shop).await?;
        sleep(CALM).await;
        let well = Attempts::look(&shop).await?;
        report::note("every catalogue node fails every call");
        for node in &shop.nodes("catalogue").await? {
            shop.disturb(node, json!({"failing": true})).await?;
        }
        let ill = Attempts::look(&shop).await?;
        sleep(lab.options.step).await;
        let end = Attempts::look(&shop).await?;
        report::note("all well again");
        for node in &shop.nodes("catalogue").await? {
            shop.disturb(node, json!({})).await?;
        }
        anyhow::Ok((first.each(well), ill.each(end)))
    };
    let (seen, (usual, each)) = offer_while(lab.options, &shop, &load, lab.seed, script).await?;
    let step = Step::new(1.0, lab.options.protection, &seen);
    step.note();
    shop.end().await?;
    let last = seen.run.planned;
    let well = seen.run.between(last.saturating_sub(AFTER / 2), last);
    let good = share(well.good, well.offered).unwrap_or(0.0);
    let what = "attempts at the bottom tier per request in a total outage";
    let figure = Figure::new("F5", what, Unit::Times, each)
        .must(Bound::AtMost(1.2), Bound::AtMost(1.1))
        .of(format!(
            "when all is well {:.2}; soon after the outage {:.1} % good",
            usual.unwrap_or(f64::NAN),
            100.0 * good
        ))
        .unless(&step.invalid);
    let timelines = vec![timeline("outage of the catalogue", &seen)];
    Ok(Findings { figures: vec![figure], timelines, ..Findings::default() })
}
