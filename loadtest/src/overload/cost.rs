//! What a rejection costs, in processor time of the whole shop as it is: accepted requests of the shop's mix at a calm
//! load, then the same arrivals at storefronts that have no place, in alternating slices, so that a busy machine disturbs
//! both alike. `r` is the ratio; the prediction of the curve hangs on it.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{
    Findings, Lab,
    figures::{Bound, Figure, Unit},
    shop::Shop,
    step::{Load, idle, offer, offer_while},
    sums::{Spent, costs},
};
use crate::{
    measure::spread,
    open::{arrivals::Stage, mix::Mix},
    report,
};

/// The name of the ratio among the figures.
pub(super) const R: &str = "r: processor time of a rejection / an accepted request";
/// The most that it may be.
pub(super) const R_MAX: f64 = 0.02;
/// Arrivals a second that the shop serves with room to spare, and yet not so few that it is woken from sleep for each.
const CALM: f64 = 120.0;
/// Arrivals a second that are sent away: as many as make the storefronts work, since idle ones pay a wake-up for each.
const HOT: f64 = 4_000.0;
const SLICES: u32 = 3;
/// A logic node that takes so long for each call has no place for a second one; so storefronts have none either.
const STUCK_MS: u32 = 500;
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "cost", 2, None).await?;
    let lasts = (lab.options.step / (2 * SLICES)).max(Duration::from_secs(3));
    // The first customers warm everything up.
    offer(lab.options, &shop, &Load::steady(Mix::shop(), CALM, Duration::from_secs(3)), lab.seed).await?;
    let idle_s = idle(&shop).await?;
    let (mut calm, mut hot, mut doubts) = (Spent::default(), Spent::default(), Vec::new());
    let mut ratios = Vec::new();
    for number in 0..SLICES {
        let accepting = slice(lab, &shop, CALM, lasts, idle_s, &mut doubts).await?;
        let rejecting = slice(lab, &shop, HOT, lasts, idle_s, &mut doubts).await?;
        sleep(PAUSE).await;
        calm.add(accepting);
        hot.add(rejecting);
        let one = costs(accepting, rejecting);
        ratios.extend(one.map(|(accepted, rejected)| rejected / accepted));
        report::note(&format!("  slice {number}: {accepting:?} {rejecting:?}"));
    }
    shop.end().await?;
    let both = costs(calm, hot);
    let mut figure = Figure::new("F3", R, Unit::Percent, both.map(|(accepted, rejected)| rejected / accepted))
        .must(Bound::AtMost(R_MAX), Bound::AtMost(R_MAX / 2.0))
        .unless(&doubts);
    if let Some((accepted, rejected)) = both {
        let us = |seconds: f64| 1e6 * seconds;
        figure = figure.of(format!(
            "{:.0} us / {:.0} us over all nodes, of {} rejections and {} accepted requests",
            us(rejected),
            us(accepted),
            hot.rejected,
            calm.accepted
        ));
    }
    if !ratios.is_empty() {
        let (least, _, most) = spread(&mut ratios);
        figure = figure.of(format!("by slice {:.2} % to {:.2} %", 100.0 * least, 100.0 * most));
    }
    Ok(Findings { figures: vec![figure], ..Findings::default() })
}

/// One slice, without what the nodes would have done anyway. Customers who will be sent away come after a calm moment, in
/// which sessions are opened: what that costs is paid for like any accepted request.
async fn slice(
    lab: &Lab<'_>,
    shop: &Shop,
    rate: f64,
    lasts: Duration,
    idle_s: f64,
    doubts: &mut Vec<String>,
) -> anyhow::Result<Spent> {
    let load = Load { counted: true, ..Load::steady(Mix::shop(), rate, lasts) };
    let hot = rate > CALM;
    let stages = if hot { vec![Stage::steady(CALM, PAUSE), Stage::steady(rate, lasts)] } else { load.stages.clone() };
    let script = async {
        if hot {
            sleep(PAUSE / 2).await;
            stuck(shop, true).await?;
        }
        Ok(())
    };
    let (seen, ()) = offer_while(lab.options, shop, &Load { stages, ..load }, lab.seed, script).await?;
    stuck(shop, false).await?;
    doubts.extend(seen.run.invalid.iter().cloned());
    Ok(seen.spent_beside(idle_s))
}

/// Leaves the storefronts no place, or gives it back.
async fn stuck(shop: &Shop, is_stuck: bool) -> anyhow::Result<()> {
    for node in shop.nodes("frontend").await? {
        let limits =
            if is_stuck { json!({"admission": {"work_min": 1, "work_max": 1}}) } else { shop.limits(&node, true) };
        shop.put(&node, "limits", &limits).await?;
    }
    for node in shop.nodes("logic").await? {
        let demand = if is_stuck { json!({"slots": 1, "default_ms": STUCK_MS}) } else { json!({}) };
        shop.put(&node, "demand", &demand).await?;
    }
    Ok(())
}
