//! The page: figures with their verdicts, the curve against its prediction, and what happened moment by moment. One file,
//! no script, no network.

mod chart;

use std::fmt::Write as _;

use super::{
    Report, Timeline,
    cost::{R, R_MAX},
    figures::{Figure, Verdict},
    step::Step,
    sums::predicted,
};
use crate::open::record::Counts;
use chart::{Chart, Series};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2228;--soft:#5c6670;--paper:#fff;--line:#d8dde2;--good:#2a7f4f;--shed:#c98a1b;\
--bad:#b3372f;--one:#1f5fa8;--two:#8a4fa8}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b0;--paper:#15191d;--line:#343c44;--good:#5cc088;\
--shed:#e3b04b;--bad:#e8776f;--one:#74aef0;--two:#c795e0}}\
body{margin:0 auto;max-width:60rem;padding:1rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}\
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.4rem 0}small,.soft{color:var(--soft)}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
td,th{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\
td.n,th.n{text-align:right;white-space:nowrap}svg{width:100%;height:auto;display:block}\
.PASS{color:var(--good);font-weight:600}.FAIL,.INVALID{color:var(--bad);font-weight:600}.shown{color:var(--soft)}\
p.legend{color:var(--soft);font-size:.85rem}p.legend span{margin-right:1rem;white-space:nowrap}p.legend i{display:inline-block;\
width:1.2rem;margin-right:.3rem;vertical-align:middle}text{fill:var(--soft);font:12px system-ui,sans-serif}\
@media(max-width:640px){text{font-size:17px}.figures thead{display:none}.figures tr{display:grid;grid-template-columns:3rem 1fr 1fr 1fr;\
padding:.4rem 0;border-bottom:1px solid var(--line)}.figures td{border:0;padding:.1rem .3rem}.figures td:nth-child(2){grid-column:2/5}\
.figures td:nth-child(3){grid-column:2}.figures td:last-child{grid-column:2/5}.figures td.n{text-align:left}\
.figures td.n:not(:empty)::before{content:attr(data-name);display:block;font-size:.75rem;color:var(--soft)}}";

const AGAINST: &str = "offered load in multiples of the peak";

/// The whole page.
pub(super) fn page(report: &Report<'_>) -> String {
    let verdict = report.verdict.name();
    let rough = if report.rough { " Rough: the machine did other work too." } else { "" };
    let peak = report.peak.map_or_else(String::new, |peak| format!("Peak: {peak:.0} good answers a second. "));
    let (slots, work_ms, step_s) = (report.slots, report.work_ms, report.step_ms / 1_000);
    let mut body = format!(
        "<h1>Load regulation: <span class=\"{verdict}\">{verdict}</span></h1>\
         <p>What a shop does that is offered more than it can serve, measured over real HTTP. {peak}{rough}</p>\
         <p class=\"soft\">Logic nodes model their work: {slots} slots each, {work_ms} ms for a request, asleep, so that two \
         processors can stand for six machines. Each load was offered for {step_s} s, by customers who come by a plan whether \
         or not others were served; latencies count from the moment they meant to come. Seed {}.</p>",
        report.seed
    );
    let all = &report.findings.figures;
    if !report.findings.steps.is_empty() {
        let r = all.iter().find(|figure| figure.what == R).and_then(|figure| figure.measured);
        body += &curve(&report.findings.steps, report.peak.unwrap_or(1.0), r);
    }
    body += &figures(all);
    for timeline in &report.findings.timelines {
        body += &moments(timeline);
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Load regulation: {verdict}</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>\n"
    )
}

fn figures(figures: &[Figure]) -> String {
    let mut rows = String::new();
    for figure in figures {
        let bound = |bound: Option<super::figures::Bound>| {
            bound.map_or_else(String::new, |bound| escaped(&bound.shown(figure.unit)))
        };
        let remarks: Vec<String> = figure.remarks.iter().map(|remark| escaped(remark)).collect();
        let aim =
            if figure.verdict == Verdict::Pass && figure.aim_reached == Some(false) { ", aim missed" } else { "" };
        let verdict = figure.verdict.name();
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}<br><small>{}</small></td><td class=\"n\" data-name=\"measured\">{}</td>\
             <td class=\"n\" data-name=\"must\">{}</td><td class=\"n\" data-name=\"aim\">{}</td>\
             <td class=\"{verdict}\">{verdict}{aim}</td></tr>",
            figure.id,
            escaped(&figure.what),
            remarks.join("<br>"),
            escaped(&figure.measured_shown()),
            bound(figure.must),
            bound(figure.aim),
        );
    }
    format!(
        "<h2>Figures</h2><p>\"Must\" decides; \"aim\" is where we want to be.</p><table class=\"figures\"><thead><tr><th></th>\
         <th>What</th><th class=\"n\">Measured</th><th class=\"n\">Must</th><th class=\"n\">Aim</th><th></th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

/// `r` is what a rejection costs in the shop as it is, if that was measured in the same run.
fn curve(steps: &[Step], peak: f64, r: Option<f64>) -> String {
    let points = |protection: bool, y: fn(&Step) -> f64| -> Vec<(f64, f64)> {
        steps.iter().filter(|step| step.protection == protection).map(|step| (step.x, y(step))).collect()
    };
    let parts = |protection: bool, y: fn(&Step) -> f64| -> Vec<(f64, f64)> {
        points(protection, y).into_iter().map(|(x, y)| (x, 100.0 * y / peak)).collect()
    };
    let most = steps.iter().map(|step| step.x).fold(1.0, f64::max);
    let (r, source) = r.map_or((R_MAX, "the most that it may be"), |r| (r, "as measured on the real shop"));
    let at = |number: u32| f64::from(number) * most / 100.0;
    let line = (0..=100).map(|number| (at(number), 100.0 * predicted(r, at(number)))).collect();
    let goodput = Chart::new("goodput, % of the peak", AGAINST)
        .with(Series::dashed(&format!("predicted for r = {:.1} %", 100.0 * r), "--soft", line))
        .with(Series::line("goodput with protection", "--good", parts(true, Step::goodput)))
        .with(Series::line("without", "--bad", parts(false, Step::goodput)));
    let shedding = steps.iter().filter(|step| step.protection && step.counts.shed > 0);
    let rejections = shedding.map(|step| (step.x, step.rejection_p99_ms)).collect();
    let latency = Chart::new("milliseconds, by powers of ten", AGAINST)
        .logarithmic()
        .with(Series::line("p50 of accepted", "--one", points(true, |step| step.p50_ms)))
        .with(Series::line("p99 of accepted", "--good", points(true, |step| step.p99_ms)))
        .with(Series::line("p99 of rejections", "--shed", rejections))
        .with(Series::line("p99 without protection", "--bad", points(false, |step| step.p99_ms)));
    let mut rows = String::new();
    for step in steps {
        let percent = |part: u64| 100.0 * super::sums::share(part, step.counts.offered).unwrap_or(0.0);
        let _ = write!(
            rows,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.0}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td>\
             <td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td>\
             <td class=\"n\">{:.1}</td><td class=\"n\">{:.0}</td></tr>",
            if step.protection { "on" } else { "off" },
            step.x,
            step.rate,
            step.goodput(),
            percent(step.counts.shed),
            percent(step.counts.late),
            percent(step.counts.failed() + step.counts.missed),
            step.p50_ms,
            step.p99_ms,
            step.rejection_p99_ms,
            step.rss_mib,
        );
    }
    let heads =
        ["offered, x", "offered/s", "good/s", "shed %", "late %", "failed %", "p50 ms", "p99 ms", "no in ms", "MiB"];
    let heads: String = heads.iter().map(|head| format!("<th class=\"n\">{head}</th>")).collect();
    format!(
        "<h2>The curve</h2><p>Good answers against offered load. A flat line is the goal: what is lost beyond the peak is the \
         price of saying no. The dashed line is what is left if that is {:.1} % of what an accepted request costs, {source}; \
         modelled work is no processor time, so the shop may lie above it.</p>{}<p>What became of those who came.</p>{}{}\
         <p>How long the accepted waited, and how soon the others were told no.</p>{}<div class=\"wide\"><table><thead><tr>\
         <th>protection</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>",
        100.0 * r,
        goodput.svg(),
        fates(steps, true),
        fates(steps, false),
        latency.svg()
    )
}

/// Good, late, failed and refused, stacked to all that were offered.
fn fates(steps: &[Step], protection: bool) -> String {
    let steps: Vec<_> = steps.iter().filter(|step| step.protection == protection).collect();
    if steps.is_empty() {
        return String::new();
    }
    let parts = |of: fn(&Counts) -> u64| {
        let part = |step: &&Step| 100.0 * super::sums::share(of(&step.counts), step.counts.offered).unwrap_or(0.0);
        steps.iter().map(|step| (step.x, part(step))).collect()
    };
    let of = if protection { "% of those who came" } else { "% of those who came, without protection" };
    Chart::new(of, AGAINST)
        .stacked()
        .with(Series::line("good", "--good", parts(|counts| counts.good)))
        .with(Series::line("late", "--one", parts(|counts| counts.late)))
        .with(Series::line("failed", "--bad", parts(|counts| counts.failed() + counts.missed)))
        .with(Series::line("refused", "--shed", parts(|counts| counts.shed)))
        .svg()
}

fn moments(timeline: &Timeline) -> String {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run, and counts of a slice")]
    let series = |of: fn(&Counts) -> u64| -> Vec<(f64, f64)> {
        let seconds = timeline.slice_ms as f64 / 1_000.0;
        let slices = timeline.slices.iter().enumerate();
        slices.map(|(index, slice)| (index as f64 * seconds, of(slice) as f64 / seconds)).collect()
    };
    let chart = Chart::new("a second", "seconds")
        .with(Series::dashed("came", "--soft", series(|counts| counts.offered)))
        .with(Series::line("good", "--good", series(|counts| counts.good)))
        .with(Series::line("refused", "--shed", series(|counts| counts.shed)))
        .with(Series::line("late or failed", "--bad", series(|counts| counts.late + counts.failed() + counts.missed)));
    format!("<h2>{}</h2>{}", escaped(&timeline.name), chart.svg())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::{
        Findings,
        figures::{Bound, Unit},
    };

    #[test]
    fn the_page_is_whole_in_itself_and_escapes_what_it_was_told() {
        let figure =
            Figure::new("F1", "<goodput>", Unit::Percent, Some(0.5)).must(Bound::AtLeast(0.9), Bound::AtLeast(0.95));
        let slices = vec![Counts { offered: 10, good: 9, shed: 1, ..Counts::default() }];
        let timelines = vec![Timeline { name: "a & b".to_owned(), slice_ms: 500, slices }];
        let findings = Findings { figures: vec![figure], timelines, ..Findings::default() };
        let (seed, step_ms, peak) = (7, 30_000, Some(180.0));
        let report = Report {
            seed,
            step_ms,
            slots: 4,
            work_ms: 40,
            rough: true,
            peak,
            verdict: Verdict::Fail,
            findings: &findings,
        };
        let page = page(&report);
        assert!(page.contains("&lt;goodput&gt;") && page.contains("a &amp; b") && page.contains(">FAIL<"));
        for outside in ["http:", "https:", "//", "<script", "src=", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
