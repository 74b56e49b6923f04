//! The three pictures of a run: what became of those who came, how long they waited, and how the waiting is spread.

use super::{
    summary::{Percentiles, Summary},
    svg::Plot,
    words::{count, ms},
};
use crate::open::record::Counts;

/// Most columns of a picture; longer runs are drawn in coarser steps.
const COLUMNS_MAX: usize = 240;

/// The parts of a column from the bottom: name, colour, count.
pub(crate) const PARTS: [(&str, &str); 6] = [
    ("good", "good"),
    ("late", "late"),
    ("shed", "shed"),
    ("errors", "error"),
    ("timeouts", "timeout"),
    ("missed", "missed"),
];

fn part(counts: &Counts, name: &str) -> u64 {
    match name {
        "good" => counts.good,
        "late" => counts.late,
        "shed" => counts.shed,
        "errors" => counts.error,
        "timeouts" => counts.timeout,
        _ => counts.missed,
    }
}

/// Slices put together so that not more than [`COLUMNS_MAX`] are drawn.
struct Column {
    from_s: f64,
    to_s: f64,
    counts: Counts,
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "seconds and counts of one run")]
fn columns(summary: &Summary) -> Vec<Column> {
    let group = summary.slices.len().div_ceil(COLUMNS_MAX).max(1);
    let slice_s = summary.slice_ms as f64 / 1_000.0;
    let largest = |of: &mut dyn Iterator<Item = Option<f64>>| {
        of.flatten().fold(None, |most: Option<f64>, one| Some(most.map_or(one, |most| most.max(one))))
    };
    let column = |(number, slices): (usize, &[crate::open::slices::Slice])| {
        let mut counts = Counts::default();
        slices.iter().for_each(|slice| counts.add(&slice.total()));
        let from_s = (number * group) as f64 * slice_s;
        let mut medians: Vec<f64> = slices.iter().filter_map(|slice| slice.p50_ms).collect();
        medians.sort_by(f64::total_cmp);
        Column {
            from_s,
            to_s: from_s + slices.len() as f64 * slice_s,
            counts,
            p50: medians.get(medians.len() / 2).copied(),
            // The worst slice stands for its group: a spike must not vanish by drawing it smaller.
            p99: largest(&mut slices.iter().map(|slice| slice.p99_ms)),
            max: largest(&mut slices.iter().map(|slice| slice.max_ms)),
        }
    };
    summary.slices.chunks(group).enumerate().map(column).collect()
}

/// Arrivals a second over time, stacked by what became of them.
#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
pub(crate) fn fates(summary: &Summary) -> String {
    let columns = columns(summary);
    let rate = |column: &Column, count: u64| count as f64 / (column.to_s - column.from_s);
    let most = columns.iter().map(|column| rate(column, column.counts.offered)).fold(1.0, f64::max);
    let end = columns.last().map_or(1.0, |column| column.to_s);
    let mut plot = Plot::linear(280.0, end, most);
    plot.seconds();
    for column in &columns {
        let mut low = 0.0;
        for (name, colour) in PARTS {
            let high = low + rate(column, part(&column.counts, name));
            if high > low {
                plot.column((column.from_s, column.to_s), (low, high), colour);
            }
            low = high;
        }
    }
    for column in &columns {
        let said: Vec<String> = PARTS
            .iter()
            .map(|(name, _)| (name, part(&column.counts, name)))
            .filter(|(_, count)| *count > 0)
            .map(|(name, part)| format!("{name} {}", count(part)))
            .collect();
        let text = format!("{:.1} s: {} came: {}", column.from_s, count(column.counts.offered), said.join(", "));
        plot.hint((column.from_s, column.to_s), &text);
    }
    plot.finish("arrivals a second over time, by what became of them")
}

/// p50, p99 and the slowest over time.
pub(crate) fn latencies(summary: &Summary) -> Option<String> {
    let columns = columns(summary);
    let all = columns.iter().flat_map(|column| [column.p50, column.max]).flatten();
    let (low, high) = all.fold((f64::MAX, 0.0_f64), |(low, high), ms| (low.min(ms), high.max(ms)));
    if high <= 0.0 {
        return None;
    }
    let end = columns.last().map_or(1.0, |column| column.to_s);
    let mut plot = Plot::logarithmic(280.0, end, (low, high), ms);
    plot.seconds();
    let line = |of: fn(&Column) -> Option<f64>| -> Vec<_> {
        columns.iter().map(|column| (f64::midpoint(column.from_s, column.to_s), of(column))).collect()
    };
    plot.line(&line(|column| column.max), "max", "stroke-width=\"1.2\" stroke-dasharray=\"1 4\"");
    plot.line(&line(|column| column.p99), "p99", "stroke-width=\"2.2\"");
    plot.line(&line(|column| column.p50), "p50", "stroke-width=\"2.2\"");
    for column in &columns {
        let say = |ms_of: Option<f64>| ms_of.map_or("none".to_owned(), ms);
        let (p50, p99, max) = (say(column.p50), say(column.p99), say(column.max));
        let text = format!("{:.1} s: p50 {p50}, p99 {p99}, slowest {max}", column.from_s);
        plot.hint((column.from_s, column.to_s), &text);
    }
    Some(plot.finish("latency over time: median, 99th percentile and the slowest"))
}

/// Latency by percentile, each nine as wide as the one before.
pub(crate) fn spread(intended: &Percentiles, naive: &Percentiles, deadline_ms: f64) -> Option<String> {
    let nines = |percent: f64| -(1.0 - percent / 100.0).log10();
    let points =
        |of: &Percentiles| -> Vec<_> { of.curve.iter().map(|(percent, ms)| (nines(*percent), Some(*ms))).collect() };
    let (ours, theirs) = (points(intended), points(naive));
    let (last, _) = ours.last().copied().filter(|(nines, _)| *nines > 0.0)?;
    let all = ours.iter().chain(&theirs).filter_map(|(_, ms)| *ms);
    let (low, high) = all.fold((f64::MAX, 0.0_f64), |(low, high), ms| (low.min(ms), high.max(ms)));
    let mut plot = Plot::logarithmic(280.0, last, (low, high.max(low * 10.0)), ms);
    let ticks = [(0.0, "0 %"), (50.0, "50 %"), (90.0, "90 %"), (99.0, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %")];
    for (percent, label) in ticks.into_iter().filter(|(percent, _)| nines(*percent) <= last + 0.01) {
        plot.x_tick(nines(percent), label);
    }
    if (low..=high).contains(&deadline_ms) {
        let deadline = [(0.0, Some(deadline_ms)), (last, Some(deadline_ms))];
        plot.line(&deadline, "late", "stroke-width=\"1.4\" stroke-dasharray=\"6 5\"");
    }
    plot.line(&theirs, "soft", "stroke-width=\"1.6\" stroke-dasharray=\"5 4\"");
    plot.line(&ours, "p99", "stroke-width=\"2.4\"");
    Some(plot.finish("latency by percentile, from the intended moment and from the real sending"))
}
