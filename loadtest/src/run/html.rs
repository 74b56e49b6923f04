//! The report as one page that needs nothing else: no network, no script; light and dark, wide and narrow.
//!
//! It is written for somebody who was not there: the verdict first, then pictures, then figures, then what the words mean.

use std::fmt::Write as _;

use super::{
    charts,
    judged::Judged,
    summary::{Row, Summary},
    svg::escape,
    words::{count, ms, percent, rate, story, verdict},
};
use crate::open::mix::Action;

/// What every page of this tool looks like.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(crate) fn render(summary: &Summary, judged: &Judged) -> String {
    let facts = &summary.facts;
    let title = format!("Load test: mix {}, {}", facts.mix, facts.stages);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style><main>",
        escape(&title)
    );
    head(&mut page, summary, judged, &title);
    tiles(&mut page, summary);
    pictures(&mut page, summary);
    actions(&mut page, summary);
    answers(&mut page, summary);
    comparison(&mut page, judged);
    page.push_str(WORDS);
    run_facts(&mut page, summary);
    page.push_str("</main></html>\n");
    page
}

fn head(page: &mut String, summary: &Summary, judged: &Judged, title: &str) {
    let (word, why) = verdict(summary, judged);
    let class = match word {
        "PASS" => "pass",
        "DONE" => "done",
        "INVALID" => "invalid",
        _ => "fail",
    };
    let _ = write!(
        page,
        "<header><p class=\"title\">{}</p><h1 class=\"{class}\">{word}</h1><p class=\"why\">{}</p><p>{}</p>",
        escape(title),
        escape(&why),
        escape(&story(summary))
    );
    if summary.facts.interrupted {
        page.push_str("<p class=\"soft\">The run was interrupted before its planned end.</p>");
    }
    if !judged.thresholds.is_empty() {
        page.push_str("<ul class=\"checks\">");
        for one in &judged.thresholds {
            let (class, sign) = if one.holds { ("ok", "✓") } else { ("no", "✗") };
            let measured = match (one.measured, &summary.audit) {
                (Some(measured), _) => format!("measured {}", trimmed(measured)),
                (None, Some(audit)) if one.threshold == "audit" => format!(
                    "{}: {} orders, {} charges, {} acknowledged, {} recovered",
                    audit.verdict, audit.orders, audit.charges, audit.acknowledged, audit.recovered
                ),
                _ => "nothing was measured".to_owned(),
            };
            let text = escape(&one.threshold);
            let _ =
                write!(page, "<li class=\"{class}\"><b>{sign}</b> <code>{text}</code> <span>{measured}</span></li>");
        }
        page.push_str("</ul>");
    }
    if let Some(audit) = summary.audit.as_ref().filter(|audit| !audit.problems.is_empty()) {
        page.push_str("<p>The audit found:</p><ul>");
        for problem in &audit.problems {
            let _ = write!(page, "<li>{}</li>", escape(problem));
        }
        page.push_str("</ul>");
    }
    page.push_str("</header>");
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn tiles(page: &mut String, summary: &Summary) {
    let Row { counts, latency, .. } = &summary.total;
    let share = |part: u64| counts.share(part).map_or("-".to_owned(), percent);
    let time = |value: Option<f64>| value.map_or("-".to_owned(), ms);
    let tiles = [
        ("offered", rate(summary.offered_per_s), format!("{} customers", count(counts.offered))),
        ("goodput", rate(summary.goodput_per_s), format!("{} of them", share(counts.good))),
        ("half within", time(latency.p50), "p50".to_owned()),
        ("99 of 100 within", time(latency.p99), "p99".to_owned()),
        ("shed", share(counts.shed), format!("{} turned away", count(counts.shed))),
        (
            "failed",
            share(counts.failed()),
            format!("{} errors, {} timeouts", count(counts.error), count(counts.timeout)),
        ),
    ];
    page.push_str("<section class=\"tiles\">");
    for (name, value, note) in tiles {
        let _ = write!(page, "<div><span>{name}</span><b>{value}</b><small>{note}</small></div>");
    }
    page.push_str("</section>");
}

fn key(page: &mut String, colours: &[(&str, &str)]) {
    page.push_str("<p class=\"key\">");
    for (name, colour) in colours {
        let _ = write!(page, "<span><i style=\"background:var(--{colour})\"></i>{name}</span>");
    }
    page.push_str("</p>");
}

fn pictures(page: &mut String, summary: &Summary) {
    page.push_str("<section><h2>What became of those who came</h2><p class=\"soft\">Customers a second, at the moment they came.</p>");
    // Only what happened, but good always: an empty key would look broken.
    let counts = &summary.total.counts;
    let seen = [true, counts.late > 0, counts.shed > 0, counts.error > 0, counts.timeout > 0, counts.missed > 0];
    let parts = charts::PARTS.into_iter().zip(seen).filter(|(_, seen)| *seen).map(|(part, _)| part);
    key(page, &parts.collect::<Vec<_>>());
    page.push_str(&charts::fates(summary));
    page.push_str("</section>");
    if let Some(picture) = charts::latencies(summary) {
        page.push_str("<section><h2>How long they waited</h2><p class=\"soft\">From the moment they came to the answer; refusals are not in it.</p>");
        key(page, &[("half (p50)", "p50"), ("99 of 100 (p99)", "p99"), ("slowest", "max")]);
        page.push_str(&picture);
        page.push_str("</section>");
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a setting")]
    let deadline_ms = summary.facts.deadline_ms as f64;
    if let Some(picture) = charts::spread(&summary.total.latency, &summary.total.naive, deadline_ms) {
        page.push_str(
            "<section><h2>The slow ones</h2><p class=\"soft\">How many in a hundred waited at most so long; to the right each step \
             looks at a tenth of those before.</p>",
        );
        key(page, &[("from the intended moment", "p99"), ("from the real sending", "soft"), ("deadline", "late")]);
        page.push_str(&picture);
        page.push_str("</section>");
    }
}

fn actions(page: &mut String, summary: &Summary) {
    page.push_str(
        "<section><h2>By action</h2><div class=\"wide\"><table><tr><th>action<th>offered<th>good<th>late<th>shed<th>errors<th>timeouts\
         <th>p50<th>p90<th>p99<th>p99.9<th>slowest",
    );
    let named = summary.actions.iter().map(|(action, row)| (action.name(), *action == Action::Prepare, row));
    for (name, apart, row) in named.chain([("all", false, &summary.total)]) {
        let class = if name == "all" {
            " class=\"all\""
        } else if apart {
            " class=\"soft\""
        } else {
            ""
        };
        let _ = write!(page, "<tr{class}><th>{name}");
        let counts = &row.counts;
        let good = counts.share(counts.good).map_or("-".to_owned(), percent);
        let _ = write!(page, "<td>{}<td>{good}", count(counts.offered));
        for (bad, colour) in
            [(counts.late, "late"), (counts.shed, "shed"), (counts.error, "error"), (counts.timeout, "timeout")]
        {
            let _ = match bad {
                0 => write!(page, "<td class=\"zero\">0"),
                bad => write!(page, "<td><i style=\"background:var(--{colour})\"></i>{}", count(bad)),
            };
        }
        let latency = &row.latency;
        for value in [latency.p50, latency.p90, latency.p99, latency.p999, latency.max] {
            let _ = write!(page, "<td>{}", value.map_or("-".to_owned(), ms));
        }
    }
    page.push_str("</table></div>");
    if summary.actions.contains_key(&Action::Prepare) {
        page.push_str("<p class=\"soft\"><b>prepare</b> is the adds and looks at carts on the way to a checkout; they are in no total.</p>");
    }
    if summary.total.latency.count < 1_000 {
        page.push_str("<p class=\"soft\">Fewer than 1000 answers: p99 is a story about a handful of customers.</p>");
    }
    page.push_str("</section>");
}

fn answers(page: &mut String, summary: &Summary) {
    let mut kinds: Vec<(&str, &str, u64)> = Vec::new();
    for (action, row) in &summary.actions {
        kinds.extend(row.kinds.iter().map(|(kind, number)| (action.name(), kind.as_str(), *number)));
    }
    if kinds.is_empty() && summary.total.rejection.count == 0 && summary.total.resent == 0 {
        return;
    }
    kinds.sort_by_key(|(_, _, number)| std::cmp::Reverse(*number));
    page.push_str("<section><h2>Other answers</h2>");
    if !kinds.is_empty() {
        page.push_str("<div class=\"wide\"><table><tr><th>action<th class=\"text\">answer<th>times");
        for (action, kind, number) in kinds.iter().take(30) {
            let _ = write!(page, "<tr><th>{action}<td class=\"text\">{}<td>{}", escape(kind), count(*number));
        }
        page.push_str("</table></div>");
    }
    if let (Some(p50), Some(p99)) = (summary.total.rejection.p50, summary.total.rejection.p99) {
        let _ = write!(page, "<p>A refusal took {} (p50), {} (p99).</p>", ms(p50), ms(p99));
    }
    if summary.total.resent > 0 {
        let _ = write!(page, "<p>Impatient customers sent {} requests again.</p>", count(summary.total.resent));
    }
    page.push_str("</section>");
}

fn comparison(page: &mut String, judged: &Judged) {
    let Some(both) = &judged.comparison else { return };
    page.push_str("<section><h2>Beside the earlier run</h2>");
    if both.other_plan {
        page.push_str("<p class=\"no\">The earlier run had another plan (mix, stages or deadline): its figures are no measure for these.</p>");
    }
    page.push_str("<div class=\"wide\"><table><tr><th>figure<th>before<th>now<th>ratio<th class=\"text\">verdict");
    for one in &both.differences {
        let unit = |value: f64| match one.unit {
            "ms" => ms(value),
            "%" => percent(value / 100.0),
            _ => rate(value),
        };
        let ratio = one.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let class = match one.verdict {
            "worse" => "no",
            "better" => "ok",
            _ => "soft",
        };
        let more = if one.regression { " (more than allowed)" } else { "" };
        let _ = write!(
            page,
            "<tr><th>{}<td>{}<td>{}<td>{ratio}<td class=\"text {class}\">{}{more}",
            escape(&one.figure),
            unit(one.before),
            unit(one.now),
            one.verdict
        );
    }
    page.push_str("</table></div></section>");
}

fn run_facts(page: &mut String, summary: &Summary) {
    let (facts, machine) = (&summary.facts, &summary.generator);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
    let time = |millis: u64| ms(millis as f64);
    let unknown = || "unknown".to_owned();
    let rows = [
        ("Targets", facts.targets.join(", ")),
        ("Mix", facts.mix.clone()),
        ("Stages (time@arrivals a second)", facts.stages.clone()),
        ("Arrivals", format!("{}, seed {}", facts.arrivals, facts.seed)),
        ("Lasted", format!("{} planned, {} until the last answer", time(facts.planned_ms), time(facts.elapsed_ms))),
        ("Deadline, timeout", format!("{}, {}", time(facts.deadline_ms), time(facts.timeout_ms))),
        ("Requests sent", count(machine.requests)),
        ("Most in flight", count(machine.most_in_flight as u64)),
        (
            "Schedule lag",
            format!("p50 {}, p99 {}, most {}", ms(machine.lag_p50_ms), ms(machine.lag_p99_ms), ms(machine.lag_max_ms)),
        ),
        (
            "Generator",
            machine.cpu_us_per_request.zip(machine.cpu_share).map_or_else(unknown, |(us, share)| {
                format!("{us:.0} µs of processor time a request, {} of one processor", percent(share))
            }),
        ),
        ("Whole machine", machine.machine_share.map_or_else(unknown, |share| format!("{} busy", percent(share)))),
        ("Made by", format!("loadtest {}", facts.version)),
    ];
    page.push_str("<section><h2>The run</h2><table class=\"facts\">");
    for (name, value) in rows {
        let _ = write!(page, "<tr><th>{name}<td>{}", escape(&value));
    }
    page.push_str("</table></section>");
}

const WORDS: &str = "<section><h2>What the words mean</h2><dl>\
<dt>open loop<dd>Customers come by a plan, whether or not those before them were served. A slow shop does not slow its customers \
down, as it would if each waited for an answer before asking again, so overload shows.\
<dt>intended moment<dd>When a customer was due by the plan. Latency counts from there: a stall is felt by everybody who came during \
it, not only by the one who was being served.\
<dt>good, goodput<dd>Right answers within the deadline; goodput is how many a second. Only these are worth anything to a customer.\
<dt>late<dd>Right, but after the deadline, or a checkout that was accepted and not finished.\
<dt>shed<dd>Turned away at once (503 or 429) so that the others are served: better than making everybody wait.\
<dt>errors, timeouts<dd>Wrong answers and broken connections; no answer at all within the timeout.\
<dt>missed<dd>Never sent, because too many were under way: the generator's bound, so the run does not count.\
<dt>p50, p99, p99.9<dd>Half, 99 of 100, 999 of 1000 customers waited no longer than this. Of good, late and timed-out requests.\
<dt>schedule lag<dd>How late the generator itself was. Above 5 ms (p99) the figures are not the shop's, and the run is invalid.\
<dt>audit<dd>Every checkout of the run held against the payment provider's own ledger: one order and one charge, or none.\
</dl></section>";
