//! The peak: the most good answers a second that a shop gives, found from outside by offering more and more.

use std::time::Duration;

use super::{
    Lab,
    shop::Shop,
    step::{Load, Step, offer, one_request_each},
};
use crate::report;

/// The first rate that is tried; every further one is twice as high.
const FIRST: f64 = 50.0;
/// Doublings of it.
const DOUBLINGS: u32 = 8;
/// Less of the offered load than this served well is more than the shop can do.
const SERVED: f64 = 0.9;
/// Around the best of the doublings, in parts of it.
const FINE: [f64; 4] = [0.9, 1.0, 1.1, 1.3];
/// A rough look is enough to find the neighbourhood.
const ROUGH_MAX: Duration = Duration::from_secs(5);

/// The peak.
#[derive(Debug, Clone)]
pub(crate) struct Peak {
    /// Good answers a second.
    pub(crate) rate: f64,
}

/// Searches the peak of this shop.
pub(crate) async fn find(lab: &Lab<'_>, shop: &Shop) -> anyhow::Result<Peak> {
    if let Some(rate) = lab.options.peak {
        return Ok(Peak { rate });
    }
    report::note("searching the peak");
    let mut steps: Vec<Step> = Vec::new();
    let step = async |rate: f64, lasts: Duration| {
        let load = Load::steady(one_request_each(), rate, lasts);
        let step = Step::new(0.0, true, &offer(lab.options, shop, &load, lab.seed).await?);
        step.note();
        anyhow::Ok(step)
    };
    for doubling in 0..DOUBLINGS {
        let rough = step(FIRST * f64::from(1 << doubling), lab.options.step.min(ROUGH_MAX)).await?;
        let enough = rough.goodput() < SERVED * rough.rate;
        steps.push(rough);
        if enough {
            break;
        }
    }
    let rough = best(&steps);
    let mut fine = Vec::new();
    for part in FINE {
        fine.push(step(part * rough, lab.options.step).await?);
    }
    let rate = best(&fine);
    report::note(&format!("the peak is {rate:.0} good answers a second"));
    Ok(Peak { rate })
}

fn best(steps: &[Step]) -> f64 {
    steps.iter().map(Step::goodput).fold(0.0, f64::max)
}
