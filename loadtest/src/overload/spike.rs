//! The spike: five times the peak for ten seconds, then 0.7 times, with customers who lose patience after a second and
//! click again. A shop that queued them all would still be busy with those who have gone, while they click again.

use std::time::Duration;

use super::{
    Findings, Lab, Timeline,
    figures::{Bound, Figure, Unit},
    shop::{Model, Shop},
    step::{Load, Seen, offer, one_request_each},
    sums::recovered_after,
};
use crate::{
    open::{
        arrivals::Stage,
        mix::{Action, Mix, Resend},
        record::Counts,
    },
    report,
};

const BEFORE: Duration = Duration::from_secs(5);
const SPIKE: Duration = Duration::from_secs(10);
const SPIKE_X: f64 = 5.0;
const USUAL_X: f64 = 0.7;
/// Of arrivals, when all is well.
const WELL: f64 = 0.99;
/// Well for so long is well.
const HOLD: Duration = Duration::from_secs(5);
const SLICE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(1);

/// Customers who click again when nothing happens for a second, three times.
fn impatient() -> Mix {
    let actions = vec![Action::Product, Action::Add, Action::Cart];
    let resend = Some(Resend { after: PATIENCE, times: 3, actions });
    Mix { name: "impatient".to_owned(), resend, ..one_request_each() }
}

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "spike", 2, Some(Model::of(lab.options))).await?;
    let peak = lab.peak(&shop).await?.rate;
    let end = BEFORE + SPIKE;
    let (seen, took) = one(lab, &shop, peak, lab.options.protection, false).await?;
    let recovery = took.map(|took| took.as_secs_f64());
    let what = format!("{SPIKE_X}x for {} s, then {USUAL_X}x: >= 99 % good after", SPIKE.as_secs());
    let figure = Figure::new("F4", what, Unit::Seconds, recovery).must(Bound::AtMost(10.0), Bound::AtMost(3.0));
    let mut figures = vec![figure.of(told(&seen, end)).unless(&seen.run.invalid)];
    let mut timelines = vec![timeline("spike, protection on", &seen)];
    if !lab.options.no_contrast {
        shop.protect(false).await?;
        let (seen, took) = one(lab, &shop, peak, false, true).await?;
        let shown = lab.options.step.as_secs_f64();
        let ill = Some(took.map_or(shown, |took| took.as_secs_f64()));
        let what = "without protection: not well again for (all that was watched)";
        let figure = Figure::new("F4", what, Unit::Seconds, ill).must(Bound::AtLeast(shown), Bound::AtLeast(shown));
        figures.push(figure.of(told(&seen, end)));
        timelines.push(timeline("spike, protection off", &seen));
    }
    shop.end().await?;
    Ok(Findings { figures, timelines, ..Findings::default() })
}

async fn one(
    lab: &Lab<'_>,
    shop: &Shop,
    peak: f64,
    protection: bool,
    contrast: bool,
) -> anyhow::Result<(Seen, Option<Duration>)> {
    let promised = if protection { "on" } else { "off" };
    let (usual, spike) = (USUAL_X * peak, SPIKE_X * peak);
    report::note(&format!("{usual:.0}/s, then {spike:.0}/s for {SPIKE:?}, then {usual:.0}/s; protection {promised}"));
    let stages =
        vec![Stage::steady(usual, BEFORE), Stage::steady(spike, SPIKE), Stage::steady(usual, lab.options.step + HOLD)];
    let load = Load { stages, slice: SLICE, timeout: PATIENCE, contrast, ..Load::steady(impatient(), 1.0, SPIKE) };
    let seen = offer(lab.options, shop, &load, lab.seed).await?;
    let slices: Vec<Counts> = slices(&seen);
    let took = recovered_after(&slices, SLICE, BEFORE + SPIKE, HOLD, WELL);
    Ok((seen, took))
}

fn slices(seen: &Seen) -> Vec<Counts> {
    seen.run.slices.iter().map(crate::open::slices::Slice::total).collect()
}

fn told(seen: &Seen, end: Duration) -> String {
    let success = |from: Duration, to: Duration| {
        let counts = seen.run.between(from, to);
        counts.share(counts.good).map_or_else(|| "?".to_owned(), |share| format!("{:.1} %", 100.0 * share))
    };
    let last = seen.run.planned;
    format!(
        "good: before {}, in the spike {}, first 5 s after {}, last 5 s {}; {} sendings for {} customers",
        success(Duration::ZERO, BEFORE),
        success(BEFORE, end),
        success(end, end + HOLD),
        success(last.saturating_sub(HOLD), last),
        seen.run.total().counts.sent,
        seen.run.total().counts.offered,
    )
}

pub(super) fn timeline(name: &str, seen: &Seen) -> Timeline {
    let slice_ms = u64::try_from(seen.run.slice.as_millis()).unwrap_or(1);
    Timeline { name: name.to_owned(), slice_ms, slices: slices(seen) }
}
