//! `loadtest overload`: does the shop keep selling beyond saturation? Each experiment starts a shop of its own, does one
//! thing to it over real HTTP, and prints its figures with what they must be.
//!
//! Two processors cannot be six machines. So logic nodes model their work: each request of a customer takes one of a few
//! slots for some time, asleep. What is measured is the regulation; what a request really costs is `cost`'s subject, on
//! the shop as it is.

mod cost;
mod critical;
mod curve;
mod figures;
mod hostile;
mod kill;
mod machine;
pub(crate) mod options;
mod outage;
mod page;
mod payments;
mod peak;
mod shop;
mod slow;
mod spike;
mod step;
mod sums;

use anyhow::Context;
use serde::Serialize;
use tokio::sync::OnceCell;

use self::{
    figures::{Figure, Verdict},
    options::{Experiment, OverloadOptions},
    peak::Peak,
    shop::Shop,
    step::Step,
};
use crate::{End, InvalidRun, open::record::Counts, report, seams};

/// How often something is tried that may not be believed, before it is told as it is.
const TRIES_MAX: u32 = 3;

/// What all experiments of a run share.
#[derive(Debug)]
struct Lab<'a> {
    options: &'a OverloadOptions,
    seed: u64,
    peak: OnceCell<Peak>,
}

impl Lab<'_> {
    /// The peak of two logic nodes, searched once.
    async fn peak(&self, shop: &Shop) -> anyhow::Result<&Peak> {
        self.peak.get_or_try_init(|| peak::find(self, shop)).await
    }
}

/// What an experiment found out.
#[derive(Debug, Default, Serialize)]
struct Findings {
    figures: Vec<Figure>,
    /// Of the curve.
    steps: Vec<Step>,
    /// What happened moment by moment, for the page.
    timelines: Vec<Timeline>,
}

/// The slices of one load.
#[derive(Debug, Serialize)]
struct Timeline {
    name: String,
    slice_ms: u64,
    slices: Vec<Counts>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    seed: u64,
    step_ms: u64,
    slots: u32,
    work_ms: u32,
    /// Whether the machine did other work too, so that the figures are rough.
    rough: bool,
    peak: Option<f64>,
    verdict: Verdict,
    #[serde(flatten)]
    findings: &'a Findings,
}

pub(crate) async fn run(options: OverloadOptions) -> anyhow::Result<End> {
    let seed = options.seed.unwrap_or_else(seams::fresh_seed);
    let lab = Lab { options: &options, seed, peak: OnceCell::new() };
    if options.busy_machine {
        report::note("--busy-machine: the figures are rough");
    }
    let mut all = Findings::default();
    for experiment in options.experiments() {
        report::note(&format!("== {experiment:?}, seed {seed}"));
        let found = believed(&lab, experiment).await.with_context(|| format!("the experiment {experiment:?}"))?;
        found.figures.iter().for_each(Figure::print);
        all.figures.extend(found.figures);
        all.steps.extend(found.steps);
        all.timelines.extend(found.timelines);
    }
    judge(&lab, &all)
}

/// An experiment, again if it may not be believed: what makes a generator late comes and goes with the machine's other
/// guests, and says nothing about the shop. What is known at last counts, believed or not.
async fn believed(lab: &Lab<'_>, experiment: Experiment) -> anyhow::Result<Findings> {
    let mut found = once(lab, experiment).await?;
    for _ in 1..TRIES_MAX {
        // The curve does so step by step: all of it takes minutes.
        if experiment == Experiment::Curve || !found.figures.iter().any(|figure| figure.doubted) {
            break;
        }
        found.figures.iter().filter(|figure| figure.doubted).for_each(Figure::print);
        report::note("once more, as this may not be believed");
        found = once(lab, experiment).await?;
    }
    Ok(found)
}

async fn once(lab: &Lab<'_>, experiment: Experiment) -> anyhow::Result<Findings> {
    match experiment {
        Experiment::Curve => curve::run(lab).await,
        Experiment::Spike => spike::run(lab).await,
        Experiment::Slow => slow::one_slow(lab).await,
        Experiment::Failing => slow::one_failing(lab).await,
        Experiment::Outage => outage::run(lab).await,
        Experiment::Critical => critical::run(lab).await,
        Experiment::Payments => payments::run(lab).await,
        Experiment::Kill => kill::run(lab).await,
        Experiment::Cost => cost::run(lab).await,
        Experiment::Hostile => hostile::run(lab).await,
        Experiment::All => Ok(Findings::default()),
    }
}

fn judge(lab: &Lab<'_>, all: &Findings) -> anyhow::Result<End> {
    let options = lab.options;
    let count = |verdict: Verdict| all.figures.iter().filter(|figure| figure.verdict == verdict).count();
    let (failed, invalid) = (count(Verdict::Fail), count(Verdict::Invalid));
    let report = Report {
        seed: lab.seed,
        step_ms: u64::try_from(options.step.as_millis()).unwrap_or(u64::MAX),
        slots: options.slots,
        work_ms: options.work_ms,
        rough: options.busy_machine,
        peak: lab.peak.get().map(|peak| peak.rate),
        verdict: match (failed, invalid) {
            (0, 0) => Verdict::Pass,
            (0, _) => Verdict::Invalid,
            _ => Verdict::Fail,
        },
        findings: all,
    };
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report).context("the report does not serialise")?;
        std::fs::write(file, json + "\n").with_context(|| format!("--json: cannot write {}", file.display()))?;
    }
    if let Some(file) = &options.html {
        let page = page::page(&report);
        std::fs::write(file, page).with_context(|| format!("--html: cannot write {}", file.display()))?;
    }
    let (passed, missed) =
        (count(Verdict::Pass), all.figures.iter().filter(|figure| figure.aim_reached == Some(false)).count());
    let rough = if options.busy_machine { "; rough, on a busy machine" } else { "" };
    report::line(&format!("{passed} passed, {failed} failed, {invalid} invalid; {missed} aims missed{rough}"));
    match report.verdict {
        Verdict::Invalid => Err(InvalidRun("figures may not be believed; see above".to_owned()).into()),
        Verdict::Fail => {
            report::line("FAIL");
            Ok(End::Failed)
        }
        Verdict::Pass | Verdict::Shown => {
            report::line("PASS");
            Ok(End::Pass)
        }
    }
}
