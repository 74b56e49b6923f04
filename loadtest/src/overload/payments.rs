//! More checkouts than the payment provider can serve: each charge takes it two seconds, so 50 at once are 25 a second. By
//! the provider's own record there are never more than 50, and its places do not stand empty while checkouts wait.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, interval};

use super::{
    Findings, Lab,
    figures::{Bound, Figure, Unit},
    shop::Shop,
    spike::timeline,
    step::{Load, Step, offer_while},
};
use crate::{
    open::mix::{Action, Mix},
    report,
};

/// What the provider allows.
const PERMITS: f64 = 50.0;
/// What each charge takes the provider.
const LATENCY_MS: u32 = 2_000;
/// Checkouts a second, well above the 25 that can be paid.
const RATE: f64 = 40.0;
/// Until the queue before the permits stands.
const FILLED: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A checkout answers within five seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The provider's own record.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Record {
    in_flight: u64,
    max_in_flight: u64,
    /// Milliseconds that requests were in flight, all together.
    #[serde(default)]
    busy_ms: Option<f64>,
    /// Since its counts began.
    #[serde(default)]
    elapsed_ms: Option<f64>,
}

/// The mean number in flight between two records, if the provider keeps the time.
fn mean(before: Record, after: Record) -> Option<f64> {
    let elapsed_ms = after.elapsed_ms? - before.elapsed_ms?;
    (elapsed_ms > 0.0).then_some((after.busy_ms? - before.busy_ms?) / elapsed_ms)
}

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let shop = Shop::open(lab.options, "payments", 2, None).await?;
    let slow = shop.http.post(shop.provider.join("/admin/faults")?).json(&json!({"latency_ms": LATENCY_MS}));
    slow.send().await?.error_for_status().context("the provider cannot be made slow")?;
    let mix = Mix::new("slow payments", &[(Action::Checkout, 1.0)]);
    let lasts = FILLED + lab.options.step + LOOK_EVERY;
    let load = Load { timeout: TIMEOUT, counted: true, ..Load::steady(mix, RATE, lasts) };
    report::note(&format!("{RATE} checkouts a second for {lasts:?}, each two seconds of the provider's time"));
    let watch = watch(&shop, lab.options.step);
    let (seen, saturated) = offer_while(lab.options, &shop, &load, lab.seed, watch).await?;
    let step = Step::new(1.0, lab.options.protection, &seen);
    step.note();
    let end = record(&shop).await?;
    shop.end().await?;
    #[expect(clippy::cast_precision_loss, reason = "requests at a time, a few dozen")]
    let most = end.max_in_flight as f64;
    // A generator that is late does not make the provider's record untrue; only the load's size would be.
    let figures = vec![
        Figure::new("F7", "most at the provider at once, by its own record", Unit::Count, Some(most))
            .must(Bound::AtMost(PERMITS), Bound::AtMost(PERMITS)),
        Figure::new("F7", "utilisation of its 50 places when saturated", Unit::Percent, saturated.utilisation)
            .must(Bound::AtLeast(0.85), Bound::AtLeast(0.95))
            .of(saturated.how)
            .of(format!("checkouts: {} good, {} refused; {}", step.counts.good, step.counts.shed, step.troubles()))
            .unless(&step.invalid),
    ];
    let timelines = vec![timeline("provider saturated", &seen)];
    Ok(Findings { figures, timelines, ..Findings::default() })
}

struct Saturated {
    utilisation: Option<f64>,
    how: &'static str,
}

/// Watches the provider while the queue before it stands.
async fn watch(shop: &Shop, lasts: Duration) -> anyhow::Result<Saturated> {
    tokio::time::sleep(FILLED).await;
    let (before, began) = (record(shop).await?, Instant::now());
    let (mut sum, mut looks, mut ticks) = (0.0, 0.0, interval(LOOK_EVERY));
    let mut after = before;
    while began.elapsed() < lasts {
        ticks.tick().await;
        after = record(shop).await?;
        #[expect(clippy::cast_precision_loss, reason = "requests at a time, a few dozen")]
        let now = after.in_flight as f64;
        sum += now;
        looks += 1.0;
    }
    Ok(match mean(before, after) {
        Some(mean) => Saturated { utilisation: Some(mean / PERMITS), how: "by the provider's record of its busy time" },
        None => Saturated { utilisation: Some(sum / looks / PERMITS), how: "by ten looks a second at the provider" },
    })
}

async fn record(shop: &Shop) -> anyhow::Result<Record> {
    let url = shop.provider.join("/stats")?;
    Ok(shop.http.get(url).send().await?.error_for_status()?.json().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_busy_time_by_time() {
        let record = |busy_ms, elapsed_ms| Record { in_flight: 0, max_in_flight: 0, busy_ms, elapsed_ms };
        let (before, after) = (record(Some(1_000.0), Some(500.0)), record(Some(48_500.0), Some(1_500.0)));
        assert_eq!(mean(before, after), Some(47.5));
        assert_eq!(mean(before, record(None, None)), None);
        assert_eq!(mean(before, before), None);
    }
}
