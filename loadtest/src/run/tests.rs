//! Thresholds, comparison and reports over made-up figures; the binary itself is run in `loadtest/tests`.

use std::collections::BTreeMap;

use super::{
    charts,
    compare::compare,
    csv, html,
    judge::Threshold,
    judged::Judged,
    summary::{Facts, Generator, Percentiles, Row, Summary},
    words,
};
use crate::{
    End,
    open::{mix::Action, record::Counts, slices::Slice},
};

fn row(offered: u64, shed: u64, error: u64, p99: f64) -> Row {
    let good = offered - shed - error;
    let counts = Counts { offered, sent: offered, good, shed, error, ..Counts::default() };
    let curve = vec![(0.0, 1.0), (50.0, p99 / 2.0), (99.0, p99)];
    let latency = Percentiles {
        count: good,
        p50: Some(p99 / 2.0),
        p99: Some(p99),
        max: Some(p99),
        curve,
        ..Percentiles::default()
    };
    let kinds = BTreeMap::from([("503 <busy>".to_owned(), shed)]);
    Row { counts, resent: 0, naive: latency.clone(), latency, rejection: Percentiles::default(), kinds }
}

/// Ten seconds of 100 arrivals: 5 % shed, 1 % errors.
fn summary(p99: f64) -> Summary {
    let (total, checkout) = (row(1_000, 50, 10, p99), row(100, 0, 0, 2.0 * p99));
    let slice = Slice {
        counts: BTreeMap::from([
            (Action::Home, Counts { offered: 90, good: 85, shed: 5, ..Counts::default() }),
            (Action::Checkout, Counts { offered: 10, good: 9, error: 1, ..Counts::default() }),
            (Action::Prepare, Counts { offered: 20, good: 20, ..Counts::default() }),
        ]),
        p50_ms: Some(p99 / 2.0),
        p99_ms: Some(p99),
        max_ms: Some(p99),
    };
    Summary {
        facts: Facts {
            version: "0".to_owned(),
            targets: vec!["127.0.0.1:8080".to_owned()],
            mix: "shop".to_owned(),
            stages: "10s@100".to_owned(),
            arrivals: "poisson".to_owned(),
            seed: 1,
            deadline_ms: 1_000,
            timeout_ms: 10_000,
            planned_ms: 10_000,
            elapsed_ms: 10_050,
            interrupted: false,
        },
        total,
        actions: BTreeMap::from([(Action::Checkout, checkout)]),
        offered_per_s: 100.0,
        goodput_per_s: 94.0,
        generator: Generator {
            lag_p50_ms: 0.5,
            lag_p99_ms: 1.2,
            lag_max_ms: 2.0,
            requests: 1_200,
            cpu_us_per_request: Some(60.0),
            cpu_share: Some(0.01),
            machine_share: Some(0.3),
            most_in_flight: 7,
            invalid: Vec::new(),
        },
        slice_ms: 1_000,
        slices: vec![slice; 10],
        audit: None,
    }
}

fn judged(texts: &[&str], summary: &Summary) -> Judged {
    let thresholds = texts.iter().map(|text| text.parse::<Threshold>().unwrap().check(summary)).collect();
    Judged { thresholds, comparison: None }
}

#[test]
fn thresholds_hold_or_fail_by_the_figures() {
    let summary = summary(200.0);
    let holds = |text: &str| text.parse::<Threshold>().unwrap().check(&summary).holds;
    for good in [
        "p99<300ms",
        "p99(checkout) <= 1s",
        "p50>=100ms",
        "errors<=1%",
        "errors<11",
        "errors(checkout)<1",
        "shed<6%",
        "shed>=50",
        "goodput>93/s",
        "goodput(checkout)>9",
        "missed<1",
        "good>=94%",
    ] {
        assert!(holds(good), "{good}");
    }
    for bad in
        ["p99<200ms", "errors<0.1%", "shed<5%", "goodput>95/s", "p99.9<1h", "p99(search)<1h", "audit", "good>95%"]
    {
        assert!(!holds(bad), "{bad}");
    }
}

#[test]
fn nonsense_is_refused_with_a_hint() {
    for (bad, hint) in [
        ("p99", "no comparison"),
        ("p98<2s", "no metric"),
        ("p99(dance)<2s", "no such action"),
        ("p99<2", "no unit"),
        ("errors<many", "no number"),
        ("goodput>-1", "no number"),
        ("audit<1", "no metric"),
    ] {
        let error = bad.parse::<Threshold>().unwrap_err();
        assert!(error.contains(hint), "{bad}: {error}");
    }
}

#[test]
fn the_end_is_by_validity_then_thresholds_then_regressions() {
    let mut run = summary(200.0);
    assert_eq!(judged(&["p99<300ms"], &run).end(&run), End::Pass);
    assert_eq!(judged(&[], &run).end(&run), End::Pass);
    assert_eq!(judged(&["p99<300ms", "shed<1%"], &run).end(&run), End::Failed);
    let comparison = Some(compare(&summary(100.0), &run, Some(0.1)));
    assert_eq!(Judged { thresholds: Vec::new(), comparison }.end(&run), End::Failed);
    run.generator.invalid = vec!["late".to_owned()];
    assert_eq!(judged(&["shed<1%"], &run).end(&run), End::Invalid);
}

#[test]
fn a_comparison_says_which_way_is_worse_and_ignores_noise() {
    let verdicts = |before: f64, now: f64, allowed| {
        let both = compare(&summary(before), &summary(now), allowed);
        let p99 = both.differences.iter().find(|one| one.figure == "p99").unwrap();
        (p99.verdict, p99.regression)
    };
    assert_eq!(verdicts(100.0, 105.0, Some(0.1)), ("worse", false));
    assert_eq!(verdicts(100.0, 120.0, Some(0.1)), ("worse", true));
    assert_eq!(verdicts(100.0, 120.0, None), ("worse", false));
    assert_eq!(verdicts(100.0, 80.0, Some(0.1)), ("better", false));
    assert_eq!(verdicts(2.0, 2.6, Some(0.1)), ("same", false));
    let (mut less, before) = (summary(100.0), summary(100.0));
    less.goodput_per_s = 50.0;
    let both = compare(&before, &less, Some(0.1));
    assert!(both.has_regression() && !both.other_plan);
    assert!(!compare(&less, &before, Some(0.1)).has_regression(), "more goodput is better");
    less.facts.stages = "1s@1".to_owned();
    assert!(compare(&before, &less, None).other_plan);
}

#[test]
fn the_page_has_all_parts_needs_no_network_and_escapes_what_it_quotes() {
    let run = summary(200.0);
    let mut judged = judged(&["p99<300ms", "shed<1%"], &run);
    judged.comparison = Some(compare(&summary(100.0), &run, None));
    let page = html::render(&run, &judged);
    for part in [
        "<h1 class=\"fail\">FAIL</h1>",
        "1 of 2 thresholds failed",
        "Of 1\u{202f}000 customers 94 % got the right answer within 1 s.",
        "0.0 s: 100 came: good 94, shed 5, errors 1",
        "p99&lt;300ms",
        "What the words mean",
        "Beside the earlier run",
        "503 &lt;busy&gt;",
    ] {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
    for foreign in ["http:", "https:", "<script", "<link", "@import", "url(", "src="] {
        assert!(!page.contains(foreign), "`{foreign}`: the page must be self-contained");
    }
    assert!(!page.contains("NaN") && !page.contains("inf\""), "a picture without numbers");
    assert_eq!(page.matches("<svg").count(), 3);
}

#[test]
fn a_run_without_answers_still_has_a_page() {
    let mut run = summary(200.0);
    run.total = row(0, 0, 0, 1.0);
    run.total.latency = Percentiles::default();
    run.slices.clear();
    run.actions.clear();
    let page = html::render(&run, &judged(&[], &run));
    assert!(page.contains("DONE") && !page.contains("NaN"));
    assert!(charts::latencies(&run).is_none());
}

#[test]
fn the_json_is_read_back_and_the_csv_has_a_line_for_each_action_of_each_slice() {
    let run = summary(200.0);
    let again: Summary = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    assert_eq!((again.slices.len(), again.actions.len()), (10, 1));
    assert_eq!(again.total.counts, run.total.counts);
    let csv = csv::render(&run);
    assert_eq!(csv.lines().count(), 1 + 10 * 4);
    assert!(csv.contains("\n3.0,all,100,0,94,0,5,1,0,0,100.000,200.000,200.000\n"), "{csv}");
    assert_eq!(words::verdict(&run, &judged(&[], &run)).0, "DONE");
}
