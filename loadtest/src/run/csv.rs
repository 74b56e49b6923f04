//! Every slice of time as lines of CSV, for spreadsheets and plots of one's own.

use std::fmt::Write as _;

use super::summary::Summary;
use crate::open::record::Counts;

const HEAD: &str = "at_s,action,offered,sent,good,late,shed,error,timeout,missed,p50_ms,p99_ms,max_ms\n";

/// For each slice a line `all`, then one for each action that happened; latencies are of all.
pub(crate) fn render(summary: &Summary) -> String {
    let mut text = HEAD.to_owned();
    for (number, slice) in summary.slices.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
        let at_s = (number as u64 * summary.slice_ms) as f64 / 1_000.0;
        let number = |ms: Option<f64>| ms.map_or(String::new(), |ms| format!("{ms:.3}"));
        let latencies = [slice.p50_ms, slice.p99_ms, slice.max_ms].map(number).join(",");
        line(&mut text, at_s, "all", &slice.total(), &latencies);
        for (action, counts) in &slice.counts {
            line(&mut text, at_s, action.name(), counts, ",,");
        }
    }
    text
}

fn line(text: &mut String, at_s: f64, action: &str, counts: &Counts, latencies: &str) {
    let Counts { offered, sent, good, late, shed, error, timeout, missed } = counts;
    let _ = writeln!(
        text,
        "{at_s:.1},{action},{offered},{sent},{good},{late},{shed},{error},{timeout},{missed},{latencies}"
    );
}
