//! Tells how it went: the timeline, the faults, the numbers, the checks, the verdict; as text, JSON and a page.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use serde::Serialize;

use super::{
    options::{ChaosOptions, Kind},
    timeline::{self, Bar, Second, page},
};
use crate::{
    checker::{Check, Evidence, Judgement},
    cluster::Cluster,
    report::line,
};

/// Lines of the timeline that are printed; the page and the JSON have all.
const LINES_MAX: usize = 200;

/// A finished run.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) options: &'a ChaosOptions,
    pub(crate) seed: u64,
    pub(crate) cluster: &'a Cluster,
    pub(crate) kinds: &'a [Kind],
    pub(crate) evidence: &'a Evidence,
    pub(crate) judgement: &'a Judgement,
    pub(crate) bars: &'a [Bar],
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    seed: u64,
    customers: u32,
    attempts: usize,
    faults: BTreeMap<&'a str, usize>,
    tricks: &'a BTreeMap<String, u64>,
    #[serde(flatten)]
    judgement: &'a Judgement,
    rest_after_ms: Option<u64>,
    replay: String,
    seconds: &'a [Second],
    timeline: &'a [Bar],
}

impl Outcome<'_> {
    pub(crate) fn tell(&self) -> anyhow::Result<()> {
        let until_ms = self.bars.iter().filter_map(|bar| bar.to_ms).max().unwrap_or(0);
        let seconds = timeline::seconds(&self.evidence.sent, until_ms);
        let lines = timeline::text(self.bars, &seconds);
        for text in lines.iter().take(LINES_MAX) {
            line(text);
        }
        if lines.len() > LINES_MAX {
            line(&format!("and {} more (see --timeline and --json)", lines.len() - LINES_MAX));
        }
        self.tell_numbers();
        self.tell_checks();
        line(&self.judgement.verdict.to_string());
        if self.judgement.verdict != crate::audit::Verdict::Pass {
            line(&format!("again: {}", self.replay()));
        }
        if let Some(file) = &self.options.json {
            let json = Json {
                seed: self.seed,
                customers: self.options.customers,
                attempts: self.evidence.sent.len(),
                faults: self.faults(),
                tricks: &self.evidence.sometimes.tricks,
                judgement: self.judgement,
                rest_after_ms: self.evidence.phases.rest_after_ms,
                replay: self.replay(),
                seconds: &seconds,
                timeline: self.bars,
            };
            let json = serde_json::to_string_pretty(&json).context("the verdict does not serialise")?;
            write(file, "--json", &(json + "\n"))?;
        }
        if let Some(file) = &self.options.timeline {
            write(file, "--timeline", &page::render(&self.words(), self.bars, &seconds))?;
        }
        Ok(())
    }

    fn faults(&self) -> BTreeMap<&str, usize> {
        self.evidence.sometimes.faults_ms.iter().map(|(kind, times)| (kind.as_str(), times.len())).collect()
    }

    fn tell_numbers(&self) {
        let faults: Vec<_> = self.faults().iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let mut nodes: BTreeMap<&str, u64> = BTreeMap::new();
        for bar in self.bars.iter().filter(|bar| bar.kind == "kill") {
            *nodes.entry(bar.lane.rsplit_once('-').map_or("", |(family, _)| family)).or_default() += 1;
        }
        let nodes: Vec<_> = nodes.iter().map(|(family, count)| format!("{family} {count}")).collect();
        let killed = if nodes.is_empty() { String::new() } else { format!(" (killed: {})", nodes.join(", ")) };
        line(&format!("faults: {}{killed}", faults.join(", ")));
        let tricks = self.evidence.sometimes.tricks.iter();
        let tricks: Vec<_> = tricks.map(|(name, count)| format!("{name} {count}")).collect();
        line(&format!("customers: {} attempts; {}", self.evidence.sent.len(), tricks.join(", ")));
        let numbers = self.judgement.numbers;
        let sign = |equal| if equal { "==" } else { "!=" };
        line(&format!(
            "orders {} {} charges {} {} acknowledged {} (+ recovered {}); refused {}, unused keys {}, unknown {}",
            numbers.orders,
            sign(numbers.orders == numbers.charges),
            numbers.charges,
            sign(numbers.charges == numbers.acknowledged + numbers.recovered),
            numbers.acknowledged,
            numbers.recovered,
            numbers.refused,
            numbers.unused,
            numbers.unknown
        ));
        let rest = self.evidence.phases.rest_after_ms;
        let rest = rest.map_or("never".to_owned(), |rest_ms| format!("after {rest_ms} ms"));
        line(&format!("everything at rest {rest}; old views while a node stood still: {}", numbers.stale_views));
    }

    fn tell_checks(&self) {
        for (check, name, says) in Check::ALL {
            let finding = self.judgement.findings.get(&check);
            let (judged, violations) = finding.map_or((0, 0), |finding| (finding.judged, finding.violations));
            let word = match (judged, violations) {
                (0, 0) => "nothing to judge".to_owned(),
                (_, 0) => "holds".to_owned(),
                (_, violations) => format!("{violations} VIOLATIONS"),
            };
            line(&format!("{name:<18} {word:<17} {judged:>7} judged   {says}"));
            for sentence in finding.map_or(&[][..], |finding| finding.sentences.as_slice()) {
                line(&format!("    {sentence}"));
            }
        }
        for gap in &self.judgement.gaps {
            line(&format!("not judged: {gap}"));
        }
    }

    /// T-6: the command that does it again. The interleaving differs, the choices are the same.
    fn replay(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
        let ChaosOptions { duration, customers, kill_every, .. } = self.options;
        format!(
            "loadtest chaos --seed {} --faults {} --duration {}ms --customers {customers} --kill-every {}ms",
            self.seed,
            kinds.join(","),
            duration.as_millis(),
            kill_every.as_millis()
        )
    }

    fn words(&self) -> page::Words {
        let numbers = self.judgement.numbers;
        let checks = Check::ALL.iter().map(|(check, name, says)| {
            let finding = self.judgement.findings.get(check);
            let (judged, violations) = finding.map_or((0, 0), |finding| (finding.judged, finding.violations));
            ((*name).to_owned(), (*says).to_owned(), judged, violations)
        });
        let faults: Vec<_> = self.faults().iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        page::Words {
            title: format!("Chaos, seed {}", self.seed),
            verdict: format!("{}: {} orders, {} charges", self.judgement.verdict, numbers.orders, numbers.charges),
            summary: format!(
                "{}; {} customers sent {} attempts; {} acknowledged, {} recovered. Data: {}",
                faults.join(", "),
                self.options.customers,
                self.evidence.sent.len(),
                numbers.acknowledged,
                numbers.recovered,
                self.cluster.data.display()
            ),
            checks: checks.collect(),
        }
    }
}

fn write(file: &Path, option: &str, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{option}: cannot write {}", file.display()))
}
