//! The report for the terminal.

use super::{
    judged::Judged,
    summary::{Percentiles, Row, Summary},
    words::{count, ms, percent, rate, story, verdict},
};
use crate::report;

/// Odd answers printed; the other reports have all of them.
const KINDS_MAX: usize = 12;

/// Prints everything that a person at a terminal wants, the verdict last, where the eye is.
pub(crate) fn print(summary: &Summary, judged: &Judged) {
    let facts = &summary.facts;
    report::line(&format!(
        "mix {} · {} · {} arrivals · seed {} · {}",
        facts.mix,
        facts.stages,
        facts.arrivals,
        facts.seed,
        facts.targets.join(", ")
    ));
    report::line(&format!(
        "{:<9} {:>8} {:>8} {:>6} {:>8} {:>7} {:>8} {:>7} {:>9} {:>9} {:>9}",
        "action", "offered", "good", "late", "shed", "errors", "timeouts", "missed", "p50", "p99", "max"
    ));
    for (action, row) in &summary.actions {
        line(action.name(), row);
    }
    line("all", &summary.total);
    let mut kinds: Vec<(&String, &u64)> = summary.total.kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (kind, number) in kinds.iter().take(KINDS_MAX) {
        report::line(&format!("answer: {kind}: {}", count(**number)));
    }
    if let Some(p99) = summary.total.rejection.p99 {
        report::line(&format!("rejections: p99 {}", ms(p99)));
    }
    if summary.total.resent > 0 {
        report::line(&format!("sent again by impatient customers: {}", count(summary.total.resent)));
    }
    let machine = &summary.generator;
    let cpu = machine.cpu_us_per_request.map_or("unknown".to_owned(), |us| format!("{us:.0} us"));
    let busy = machine.machine_share.map_or("unknown".to_owned(), percent);
    report::line(&format!(
        "generator: schedule lag p99 {}, {cpu} of processor time a request, machine {busy} busy, most in flight {}",
        ms(machine.lag_p99_ms),
        machine.most_in_flight
    ));
    report::line(&format!("offered {}, goodput {}", rate(summary.offered_per_s), rate(summary.goodput_per_s)));
    compared(judged);
    if let Some(audit) = &summary.audit {
        let super::summary::Audited { verdict, orders, charges, acknowledged, recovered, problems, .. } = audit;
        report::line(&format!(
            "audit: {verdict}: orders {orders}, charges {charges}, acknowledged {acknowledged} (+ recovered {recovered})"
        ));
        problems.iter().for_each(|problem| report::line(&format!("audit: {problem}")));
    }
    for one in &judged.thresholds {
        let measured = one.measured.map_or(String::new(), |measured| format!(" (measured {measured:.2})"));
        report::line(&format!("threshold {}: {}{measured}", one.threshold, if one.holds { "holds" } else { "FAILED" }));
    }
    report::line(&story(summary));
    let (word, why) = verdict(summary, judged);
    report::line(&format!("{word}: {why}"));
}

fn compared(judged: &Judged) {
    let Some(both) = &judged.comparison else { return };
    if both.other_plan {
        report::line("compared: the earlier run had another plan; its figures are no measure for these");
    }
    for one in &both.differences {
        let ratio = one.ratio.map_or(String::new(), |ratio| format!(", {ratio:.2} times"));
        let (unit, flag) = (one.unit, if one.regression { " REGRESSION" } else { "" });
        report::line(&format!(
            "compared: {}: {:.2} -> {:.2} {unit}{ratio}: {}{flag}",
            one.figure, one.before, one.now, one.verdict
        ));
    }
}

fn line(name: &str, row: &Row) {
    let counts = &row.counts;
    let Percentiles { p50, p99, max, .. } = &row.latency;
    let time = |value: &Option<f64>| value.map_or("-".to_owned(), ms);
    report::line(&format!(
        "{name:<9} {:>8} {:>8} {:>6} {:>8} {:>7} {:>8} {:>7} {:>9} {:>9} {:>9}",
        counts.offered,
        counts.good,
        counts.late,
        counts.shed,
        counts.error,
        counts.timeout,
        counts.missed,
        time(p50),
        time(p99),
        time(max)
    ));
}
