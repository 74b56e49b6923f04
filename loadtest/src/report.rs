//! The report, for people and as JSON: what the customers saw, the audit, the thresholds, the verdict.
#![expect(clippy::print_stdout, reason = "printing the report is what this binary is for")]

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    audit::{Audit, Verdict},
    cli::QuickOptions,
    measure::{Step, Tally},
    threshold,
};

/// Discrepancies printed in full; the JSON report has all of them.
const SENTENCES_MAX: usize = 20;

/// Everything a run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    targets: Vec<String>,
    customers: u32,
    tokens: BTreeMap<String, u32>,
    elapsed_ms: u64,
    journeys: u64,
    steps: Vec<StepRow>,
    errors: Vec<ErrorRow>,
    acknowledged: u64,
    checkouts_per_second: f64,
    declined: u64,
    out_of_stock: u64,
    total_changed: u64,
    refused: u64,
    unknown: u64,
    retries: u64,
    longest_outage: Option<Outage>,
    audit: Audit,
    thresholds: Vec<threshold::Outcome>,
}

#[derive(Debug, Serialize)]
struct StepRow {
    step: &'static str,
    count: u64,
    errors: u64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    outage_ms: u64,
}

#[derive(Debug, Serialize)]
struct ErrorRow {
    step: &'static str,
    kind: String,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Outage {
    step: &'static str,
    ms: u64,
}

impl Report {
    pub(crate) fn new(seed: u64, options: &QuickOptions, tally: &Tally, elapsed: Duration, audit: Audit) -> Self {
        let elapsed_s = elapsed.as_secs_f64();
        let steps = Step::ALL.into_iter().filter_map(|step| StepRow::new(step, tally)).collect();
        let errors = tally.errors.iter();
        let errors =
            errors.map(|((step, kind), count)| ErrorRow { step: step.name(), kind: kind.clone(), count: *count });
        Self {
            seed,
            targets: options.target.iter().map(ToString::to_string).collect(),
            customers: options.customers,
            tokens: options.token_mix().into_iter().collect(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            journeys: tally.journeys,
            steps,
            errors: errors.collect(),
            acknowledged: tally.acknowledged,
            #[expect(clippy::cast_precision_loss, reason = "checkouts of one run, far below 2^53")]
            checkouts_per_second: tally.acknowledged as f64 / elapsed_s.max(0.001),
            declined: tally.declined,
            out_of_stock: tally.out_of_stock,
            total_changed: tally.total_changed,
            refused: tally.refused,
            unknown: tally.unknown,
            retries: tally.retries,
            longest_outage: tally.longest_outage().map(|(step, ms)| Outage { step: step.name(), ms }),
            audit,
            thresholds: options.thresholds.iter().map(|threshold| threshold.check(tally, elapsed_s)).collect(),
        }
    }

    /// Whether the run passes as a whole.
    pub(crate) fn passed(&self) -> bool {
        self.audit.verdict == Verdict::Pass && self.thresholds.iter().all(|threshold| threshold.holds)
    }

    pub(crate) fn print(&self) {
        self.print_steps();
        let Self { acknowledged, checkouts_per_second, declined, out_of_stock, unknown, retries, .. } = self;
        println!(
            "journeys {} in {:.1} s, seed {}",
            self.journeys,
            Duration::from_millis(self.elapsed_ms).as_secs_f64(),
            self.seed
        );
        println!(
            "checkouts: acknowledged {acknowledged} ({checkouts_per_second:.1}/s), declined {declined}, \
             out of stock {out_of_stock}, total changed {}, refused {}, unknown {unknown}; retries {retries}",
            self.total_changed, self.refused
        );
        for ErrorRow { step, kind, count } in &self.errors {
            println!("error: {step}: {kind}: {count}");
        }
        match &self.longest_outage {
            Some(Outage { step, ms }) => println!("longest outage seen by one call: {ms} ms ({step})"),
            None => println!("longest outage seen by one call: none"),
        }
        self.print_audit();
        for threshold::Outcome { threshold, holds, measured } in &self.thresholds {
            let measured = measured.map_or("nothing measured".to_owned(), |measured| format!("measured {measured:.1}"));
            println!("threshold {threshold}: {} ({measured})", if *holds { "holds" } else { "FAILED" });
        }
        println!(
            "{}",
            if self.passed() {
                "PASS"
            } else if self.audit.verdict == Verdict::Unknown {
                "UNKNOWN"
            } else {
                "FAIL"
            }
        );
    }

    fn print_steps(&self) {
        println!(
            "{:<9} {:>8} {:>7} {:>9} {:>9} {:>9} {:>9} {:>10}",
            "step", "count", "errors", "p50 ms", "p90 ms", "p99 ms", "max ms", "outage ms"
        );
        for row in &self.steps {
            println!(
                "{:<9} {:>8} {:>7} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>10}",
                row.step, row.count, row.errors, row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms, row.outage_ms
            );
        }
    }

    fn print_audit(&self) {
        let Audit { verdict, orders, charges, acknowledged, recovered, unknown_without_effect, .. } = &self.audit;
        let sign = |equal| if equal { "==" } else { "!=" };
        println!(
            "audit: orders {orders} {} charges {charges} {} acknowledged {acknowledged} (+ recovered {recovered})",
            sign(orders == charges),
            sign(*charges == acknowledged + recovered)
        );
        if *unknown_without_effect > 0 {
            println!("audit: {unknown_without_effect} unknown checkouts left neither an order nor a charge");
        }
        for (what, sentences) in [("discrepancy", &self.audit.discrepancies), ("not judged", &self.audit.gaps)] {
            for sentence in sentences.iter().take(SENTENCES_MAX) {
                println!("audit: {what}: {sentence}");
            }
            if sentences.len() > SENTENCES_MAX {
                println!("audit: and {} more (see --json)", sentences.len() - SENTENCES_MAX);
            }
        }
        println!("audit: {verdict}");
    }
}

impl StepRow {
    fn new(step: Step, tally: &Tally) -> Option<Self> {
        let errors = tally.errors_of(step);
        let outage_ms = tally.outages_ms.get(&step).copied().unwrap_or(0);
        let Some(seen) = tally.latencies(step) else {
            let nothing = Self {
                step: step.name(),
                count: 0,
                errors,
                p50_ms: 0.0,
                p90_ms: 0.0,
                p99_ms: 0.0,
                max_ms: 0.0,
                outage_ms,
            };
            return (errors > 0).then_some(nothing);
        };
        Some(Self {
            step: step.name(),
            count: seen.count(),
            errors,
            p50_ms: seen.percentile_ms(50.0),
            p90_ms: seen.percentile_ms(90.0),
            p99_ms: seen.percentile_ms(99.0),
            max_ms: seen.percentile_ms(100.0),
            outage_ms,
        })
    }
}

/// A remark about the run itself; standard output is for results only.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// A line of results.
pub(crate) fn line(text: &str) {
    println!("{text}");
}
