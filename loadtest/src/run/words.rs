//! Numbers as people read them, and the sentences that both the terminal and the page say.

use super::{
    judged::Judged,
    summary::{Row, Summary},
};

/// `1 234 567`, with spaces that do not break.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `0.4 ms`, `38 ms`, `1.25 s`.
pub(crate) fn ms(ms: f64) -> String {
    match ms {
        ms if ms >= 9_950.0 => format!("{:.0} s", ms / 1_000.0),
        ms if ms >= 1_000.0 => format!("{} s", trim(&format!("{:.2}", ms / 1_000.0))),
        ms if ms >= 9.95 => format!("{ms:.0} ms"),
        ms if ms >= 0.095 => format!("{} ms", trim(&format!("{ms:.1}"))),
        ms => format!("{} ms", trim(&format!("{ms:.3}"))),
    }
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// `99.9 %`: never rounds a loss away, so 99.97 % is not 100 %.
pub(crate) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p >= 100.0 => "100 %".to_owned(),
        p if p < 0.01 => "under 0.01 %".to_owned(),
        p if p > 99.99 => "over 99.99 %".to_owned(),
        p if !(1.0..=99.0).contains(&p) => format!("{} %", trim(&format!("{p:.2}"))),
        p => format!("{} %", trim(&format!("{p:.1}"))),
    }
}

pub(crate) fn rate(per_s: f64) -> String {
    if per_s < 100.0 {
        format!("{}/s", trim(&format!("{per_s:.1}")))
    } else {
        format!("{}/s", count(per_s.round() as u64))
    }
}

/// One word, and why.
pub(crate) fn verdict(summary: &Summary, judged: &Judged) -> (&'static str, String) {
    let invalid = &summary.generator.invalid;
    if !invalid.is_empty() {
        let why = invalid.join("; ");
        return ("INVALID", format!("These figures may be the generator's and not the shop's: {why}."));
    }
    let failed = judged.thresholds.iter().filter(|one| !one.holds).count();
    let worse =
        judged.comparison.as_ref().map_or(0, |both| both.differences.iter().filter(|one| one.regression).count());
    if failed + worse > 0 {
        let mut parts = Vec::new();
        if failed > 0 {
            parts.push(format!("{failed} of {} thresholds failed", judged.thresholds.len()));
        }
        if worse > 0 {
            parts.push(format!("{worse} figures are worse than the earlier run allows"));
        }
        return ("FAIL", format!("{}.", parts.join("; ")));
    }
    match judged.thresholds.len() {
        0 => ("DONE", "No thresholds were set, so nothing was judged.".to_owned()),
        1 => ("PASS", "The threshold held.".to_owned()),
        all => ("PASS", format!("All {all} thresholds held.")),
    }
}

/// What happened, in two sentences.
pub(crate) fn story(summary: &Summary) -> String {
    let Row { counts, latency, .. } = &summary.total;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a setting")]
    let deadline = ms(summary.facts.deadline_ms as f64);
    let came = count(counts.offered);
    let good = counts.share(counts.good).map_or("none".to_owned(), percent);
    let mut text = format!("Of {came} customers {good} got the right answer within {deadline}.");
    let part = |number: u64, what: &str| {
        counts.share(number).filter(|share| *share > 0.0).map(|share| format!("{} {what}", percent(share)))
    };
    let rest: Vec<String> = [
        part(counts.late, "came later than that"),
        part(counts.shed, "were turned away to protect the shop"),
        part(counts.error, "met errors"),
        part(counts.timeout, "waited in vain"),
        part(counts.missed, "were never sent"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !rest.is_empty() {
        text.push_str(&format!(" Of all, {}.", rest.join(", ")));
    }
    if let (Some(p50), Some(p99)) = (latency.p50, latency.p99) {
        text.push_str(&format!(" Half of the answers took at most {}, 99 of 100 at most {}.", ms(p50), ms(p99)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_and_never_flatter() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        for (value, text) in [
            (0.05, "0.05 ms"),
            (3.04, "3 ms"),
            (3.12, "3.1 ms"),
            (38.4, "38 ms"),
            (100.0, "100 ms"),
            (1_250.0, "1.25 s"),
            (10_000.0, "10 s"),
        ] {
            assert_eq!(ms(value), text);
        }
        for (share, text) in [
            (1.0, "100 %"),
            (0.99995, "over 99.99 %"),
            (0.9997, "99.97 %"),
            (0.5, "50 %"),
            (0.0, "0 %"),
            (0.00001, "under 0.01 %"),
        ] {
            assert_eq!(percent(share), text);
        }
        assert_eq!((rate(9.96), rate(1_234.5)), ("10/s".to_owned(), "1\u{202f}235/s".to_owned()));
    }
}
