//! The curve: what the shop serves well when it is offered half its peak, its peak, and up to ten times as much; with
//! protection, and for contrast without.

use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;

use super::{
    Findings, Lab, TRIES_MAX,
    cost::R_MAX,
    figures::{Bound, Figure, Unit},
    shop::{Model, Shop},
    step::{Load, Step, offer, one_request_each},
    sums::predicted,
};
use crate::report;

/// In parts of the peak; 0.7 is the load that a shop is planned for.
const MULTIPLES: [f64; 8] = [0.5, 0.7, 0.8, 1.0, 1.5, 2.0, 5.0, 10.0];
/// Without protection every request costs as if it were served, so that two processors show no more than this.
const CONTRAST_MAX: f64 = 5.0;
/// Between two loads, so that the one before is over.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "curve", 2, Some(Model::of(lab.options))).await?;
    let peak = lab.peak(&shop).await?.clone();
    let promised = lab.options.protection;
    let mut steps = Vec::new();
    for x in MULTIPLES {
        steps.push(step(lab, &shop, x * peak.rate, x, promised).await?);
    }
    // The peak is the best that was ever seen, or a lucky step would show more than all of it.
    let seen = steps.iter().map(Step::goodput).fold(peak.rate, f64::max);
    let mut figures = judge(lab, &steps, seen);
    if !lab.options.no_contrast {
        shop.protect(false).await?;
        for x in MULTIPLES.into_iter().filter(|x| *x <= CONTRAST_MAX) {
            steps.push(step(lab, &shop, x * peak.rate, x, false).await?);
        }
        figures.extend([1.5, 5.0].into_iter().filter_map(|x| {
            let step = steps.iter().rfind(|step| is_at(step, x) && !step.protection)?;
            let goodput = Some(step.goodput() / seen);
            Some(Figure::new("F1", format!("without protection: goodput at {x}x / peak"), Unit::Percent, goodput))
        }));
    }
    shop.end().await?;
    Ok(Findings { figures, steps, ..Findings::default() })
}

async fn step(lab: &Lab<'_>, shop: &Shop, rate: f64, x: f64, protection: bool) -> anyhow::Result<Step> {
    let promised = if protection { "on" } else { "off" };
    report::note(&format!("{x} times the peak for {:?}, protection {promised}", lab.options.step));
    let load = Load::steady(one_request_each(), rate, lab.options.step);
    let load = Load { contrast: !protection && lab.options.protection, ..load };
    let mut step = None;
    for _ in 0..TRIES_MAX {
        sleep(PAUSE).await;
        let seen = offer(lab.options, shop, &load, lab.seed).await?;
        let seen = Step::new(x, protection, &seen);
        seen.note();
        if step.insert(seen).invalid.is_empty() {
            break;
        }
    }
    step.context("no try was made")
}

fn is_at(step: &Step, x: f64) -> bool {
    (step.x - x).abs() < 1e-9
}

fn judge(lab: &Lab<'_>, steps: &[Step], peak: f64) -> Vec<Figure> {
    let at = |x: f64| steps.iter().find(|step| is_at(step, x));
    let doubts = |x: f64| at(x).map(|step| step.invalid.clone()).unwrap_or_default();
    let mut figures = Vec::new();
    for (x, must, aim) in [(1.5, 0.95, 0.98), (5.0, 0.9, 0.95), (10.0, 0.75, 0.9)] {
        let goodput = at(x).map(|step| step.goodput() / peak);
        let figure = Figure::new("F1", format!("goodput at {x}x / peak ({peak:.0}/s)"), Unit::Percent, goodput);
        let left = format!("left at r = {:.0} %: {:.1} %", 100.0 * R_MAX, 100.0 * predicted(R_MAX, x));
        figures.push(figure.must(Bound::AtLeast(must), Bound::AtLeast(aim)).of(left).unless(&doubts(x)));
    }
    let slo_ms = lab.options.deadline.as_secs_f64() * 1_000.0;
    let (planned, hot) = (at(0.7).map(|step| step.p99_ms), at(5.0).map(|step| step.p99_ms));
    let ratio = planned.zip(hot).map(|(planned, hot)| hot / planned);
    figures.push(
        Figure::new("F2", "p99 of accepted at 5x / p99 at 0.7x", Unit::Times, ratio)
            .must(Bound::AtMost(3.0), Bound::AtMost(2.0))
            .of(format!("{:.1} ms / {:.1} ms", hot.unwrap_or(f64::NAN), planned.unwrap_or(f64::NAN)))
            .unless(&doubts(5.0)),
    );
    figures.push(
        Figure::new("F2", "p99 of accepted at 5x within the deadline", Unit::Ms, hot)
            .must(Bound::AtMost(slo_ms), Bound::AtMost(slo_ms))
            .unless(&doubts(5.0)),
    );
    let rejection = at(5.0).filter(|step| step.counts.shed > 0).map(|step| step.rejection_p99_ms);
    figures.push(
        Figure::new("F3", "p99 of a rejection at 5x", Unit::Ms, rejection)
            .must(Bound::AtMost(20.0), Bound::AtMost(10.0))
            .unless(&doubts(5.0)),
    );
    let memory = at(1.0).zip(at(10.0)).map(|(one, ten)| ten.rss_mib / one.rss_mib);
    figures.push(
        Figure::new("F11", "memory at 10x / at 1x", Unit::Times, memory)
            .must(Bound::AtMost(2.0), Bound::AtMost(1.3))
            .unless(&doubts(10.0)),
    );
    figures
}
