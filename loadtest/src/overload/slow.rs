//! One of four logic nodes is ill: ten times as slow (F8), or failing every call at once (F9). A failing node is the
//! fastest of all, so whoever sends work to the fastest sends all of it there.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use serde_json::json;
use tokio::time::sleep;

use super::{
    Findings, Lab, Timeline,
    figures::{Bound, Figure, Unit},
    shop::{Model, Shop},
    spike::timeline,
    step::{Load, Step, offer, offer_while, one_request_each},
    sums::share,
};
use crate::{cluster::Node, report};

const NODES: u32 = 4;
/// Of the capacity of four, so that the three others can carry it.
const LOAD: f64 = 0.5;
/// A share of traffic is settled by then.
const SETTLED: Duration = Duration::from_secs(5);
/// The first customers are served by then.
const BEGUN: Duration = Duration::from_secs(3);

/// The load that both experiments offer.
async fn load(lab: &Lab<'_>, shop: &Shop, lasts: Duration) -> anyhow::Result<Load> {
    let model = Model::of(lab.options);
    // The peak of two nodes says what the rest of the way costs; four have twice as much.
    let two = match (lab.peak.get(), lab.options.peak) {
        (Some(peak), _) => peak.rate,
        (None, Some(rate)) => rate,
        (None, None) => model.capacity(2),
    };
    let rate = LOAD * two * f64::from(NODES) / 2.0;
    report::note(&format!("{rate:.0}/s to {} storefronts and {NODES} logic nodes", shop.frontends.len()));
    Ok(Load::steady(one_request_each(), rate, lasts))
}

async fn ill_one(shop: &Shop) -> anyhow::Result<Node> {
    shop.nodes("logic").await?.into_iter().next().context("no logic node")
}

/// F8.
pub(super) async fn one_slow(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "slow", NODES, Some(Model::of(lab.options))).await?;
    let load = load(lab, &shop, lab.options.step).await?;
    let (mut figures, mut timelines) = (Vec::new(), Vec::new());
    let ill = ill_one(&shop).await?;
    let protections = if lab.options.no_contrast { vec![true] } else { vec![true, false] };
    for wanted in protections {
        let protection = wanted && lab.options.protection;
        shop.protect(protection).await?;
        let load = Load { contrast: !wanted, ..load.clone() };
        report::note(&format!("all well, protection {}", if protection { "on" } else { "off" }));
        let healthy = Step::new(1.0, protection, &offer(lab.options, &shop, &load, lab.seed).await?);
        healthy.note();
        report::note(&format!("{} takes ten times as long", ill.id));
        shop.disturb(&ill, json!({"factor": 10})).await?;
        let before = shop.served("logic", "shop.").await?;
        let seen = offer(lab.options, &shop, &load, lab.seed).await?;
        let after = shop.served("logic", "shop.").await?;
        shop.disturb(&ill, json!({})).await?;
        let sick = Step::new(1.0, protection, &seen);
        sick.note();
        let ratio = Some(sick.p99_ms / healthy.p99_ms);
        let part = share_of(&ill.id, &before, &after);
        let remark = format!(
            "p99 {:.1} ms / {:.1} ms; {:.2} % of calls went to the slow node; good {:.2} %",
            sick.p99_ms,
            healthy.p99_ms,
            100.0 * part.unwrap_or(f64::NAN),
            100.0 * share(sick.counts.good, sick.counts.offered).unwrap_or(f64::NAN),
        );
        let what = "one of four nodes ten times as slow: p99 / p99 when healthy";
        figures.push(if wanted {
            let figure = Figure::new("F8", what, Unit::Times, ratio).must(Bound::AtMost(3.0), Bound::AtMost(1.5));
            figure.of(remark).unless(&sick.invalid).unless(&healthy.invalid)
        } else {
            Figure::new("F8", "without protection: the same", Unit::Times, ratio).of(remark)
        });
        timelines.push(named("slow node", wanted, timeline("", &seen)));
    }
    shop.end().await?;
    Ok(Findings { figures, timelines, ..Findings::default() })
}

/// F9.
pub(super) async fn one_failing(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "failing", NODES, Some(Model::of(lab.options))).await?;
    let load = load(lab, &shop, BEGUN + SETTLED + lab.options.step + BEGUN).await?;
    let (mut figures, mut timelines) = (Vec::new(), Vec::new());
    let ill = ill_one(&shop).await?;
    let protections = if lab.options.no_contrast { vec![true] } else { vec![true, false] };
    for wanted in protections {
        shop.protect(wanted && lab.options.protection).await?;
        report::note(&format!("{} fails every call", ill.id));
        let load = Load { contrast: !wanted, counted: true, ..load.clone() };
        let script = async {
            sleep(BEGUN).await;
            shop.disturb(&ill, json!({"failing": true})).await?;
            sleep(SETTLED).await;
            let before = shop.served("logic", "shop.").await?;
            sleep(lab.options.step).await;
            anyhow::Ok((before, shop.served("logic", "shop.").await?))
        };
        let (seen, (before, after)) = offer_while(lab.options, &shop, &load, lab.seed, script).await?;
        shop.disturb(&ill, json!({})).await?;
        let part = share_of(&ill.id, &before, &after);
        let step = Step::new(1.0, wanted, &seen);
        step.note();
        let failed = share(step.counts.failed(), step.counts.offered).unwrap_or(f64::NAN);
        let remark = format!("{:.2} % of the customers' requests failed", 100.0 * failed);
        let what = "one of four nodes failing at once: its share after 5 s";
        figures.push(if wanted {
            let figure = Figure::new("F9", what, Unit::Percent, part).must(Bound::AtMost(0.1), Bound::AtMost(0.02));
            figure.of(remark).unless(&step.invalid)
        } else {
            Figure::new("F9", "without protection: the same", Unit::Percent, part).of(remark)
        });
        timelines.push(named("failing node", wanted, timeline("", &seen)));
    }
    shop.end().await?;
    Ok(Findings { figures, timelines, ..Findings::default() })
}

fn named(what: &str, protection: bool, timeline: Timeline) -> Timeline {
    Timeline { name: format!("{what}, protection {}", if protection { "on" } else { "off" }), ..timeline }
}

/// A node's part of the calls that were served between two looks.
fn share_of(node: &str, before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Option<f64> {
    let served = |id: &str| after.get(id)?.checked_sub(*before.get(id)?);
    share(served(node)?, after.keys().filter_map(|id| served(id)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_was_served_in_between() {
        let counts = |a: u64, b: u64| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        assert_eq!(share_of("a", &counts(1_000, 0), &counts(1_001, 99)), Some(0.01));
        assert_eq!(share_of("a", &counts(5, 5), &counts(5, 5)), None);
        assert_eq!(share_of("c", &counts(0, 0), &counts(1, 1)), None);
    }
}
