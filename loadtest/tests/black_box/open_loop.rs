//! `loadtest run` as its users run it: exit codes, reports, thresholds, audit.

use serde_json::Value;

use crate::{
    Run, loadtest,
    stub::{self, Fault},
};

/// A short run that is valid however busy the machine of the tests is.
async fn open_loop(fault: Fault, more: &[&str]) -> Run {
    let stub = stub::start(fault).await;
    let mut arguments = vec!["run", "--target", &stub.url, "--provider", &stub.url, "--seed", "7", "--no-view"];
    arguments.extend(["--busy-max", "100%", "--lag-max", "1m", "--deadline", "10s"]);
    arguments.extend(more);
    if !more.contains(&"--stages") {
        arguments.extend(["--rate", "80", "--duration", "1s"]);
    }
    loadtest(&arguments).await
}

fn file(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"))
}

#[tokio::test]
async fn a_good_shop_passes_and_leaves_three_reports() {
    let (html, json, csv) = (file("open.html"), file("open.json"), file("open.csv"));
    let reports = ["--html", &html, "--json", &json, "--csv", &csv];
    let thresholds = ["--fail", "errors<0.1%", "--fail", "p99<10s", "--fail", "audit", "--fail", "goodput>10/s"];
    let run = open_loop(Fault::None, &[&reports[..], &thresholds[..]].concat()).await;
    run.ends(0, &["All 4 thresholds held", "threshold audit: holds", "audit: PASS", "mix shop · 1s@80"]);
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let counts = &report["total"]["counts"];
    assert_eq!((&report["verdict"], &counts["good"]), (&Value::from("PASS"), &counts["offered"]));
    assert!(counts["offered"].as_u64().unwrap() > 40 && report["slices"][0]["p99_ms"].is_f64());
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<h1 class=\"pass\">PASS</h1>") && page.matches("<svg").count() == 3);
    // The targets are named, as text; nothing is loaded from anywhere.
    for foreign in ["<script", "<link", "<img", "@import", "url(", "src=", "href="] {
        assert!(!page.contains(foreign), "`{foreign}` in a page that must be self-contained");
    }
    assert!(std::fs::read_to_string(&csv).unwrap().lines().any(|line| line.starts_with("0.0,checkout,")));
    // The same run again, beside itself; then beside one that was impossibly fast.
    let again = open_loop(Fault::None, &["--compare", &json]).await;
    again.ends(0, &["compared: goodput: "]);
    let fast = String::from_utf8(std::fs::read(&json).unwrap()).unwrap();
    let fast = fast.replace("\"goodput_per_s\": ", "\"goodput_per_s\": 9999");
    std::fs::write(file("fast.json"), fast).unwrap();
    let fast = file("fast.json");
    open_loop(Fault::None, &["--compare", &fast, "--fail-on-regression", "10%"])
        .await
        .ends(99, &["REGRESSION", "FAIL"]);
}

#[tokio::test]
async fn thresholds_and_the_audit_decide_the_exit_code() {
    let slow = open_loop(Fault::None, &["--fail", "p99<10s", "--fail", "goodput>1000/s"]).await;
    slow.ends(99, &["threshold p99<10s: holds", "threshold goodput>1000/s: FAILED", "FAIL: 1 of 2 thresholds failed"]);
    let stages = ["--stages", "500ms@20, 500ms@20..40", "--mix", "checkout"];
    let doubled = open_loop(Fault::DoubleCharge, &[&stages[..], &["--fail", "audit"]].concat()).await;
    doubled.ends(99, &["order order-2 was charged 2 times", "threshold audit: FAILED"]);
    let closed = open_loop(Fault::Closed, &["--mix", "checkout", "--fail", "errors<1%"]).await;
    closed.ends(99, &["answer: 503 closed", "threshold errors<1%: FAILED (measured 100.00)"]);
}

#[tokio::test]
async fn what_the_shop_sheds_is_counted_apart_from_errors() {
    let run = open_loop(Fault::Shaky, &["--fail", "errors<1", "--fail", "shed>1%"]).await;
    run.ends(0, &["were turned away to protect the shop", "rejections: p99"]);
}

#[tokio::test]
async fn a_run_that_says_more_about_the_generator_is_not_valid() {
    let stub = stub::start(Fault::None).await;
    let flood = ["--rate", "20000", "--duration", "300ms", "--in-flight-max", "1", "--fail", "errors<100%"];
    let run =
        loadtest(&[&["run", "--target", &stub.url, "--no-view", "--busy-max", "100%"], &flood[..]].concat()).await;
    run.ends(2, &["INVALID", "arrivals were never sent"]);
}

#[tokio::test]
async fn usage_errors_of_runs_are_explained() {
    loadtest(&["run", "--target", "http://127.0.0.1:1"]).await.ends(2, &["does not answer", "cargo run --release"]);
    loadtest(&["run", "--target", "http://192.0.2.1"]).await.ends(2, &["--i-own-this-host"]);
    loadtest(&["run", "--stages", "10s"]).await.ends(2, &["no `@`", "10s@50, 20s@50..200"]);
    loadtest(&["run", "--stages", "10s@5", "--rate", "5"]).await.ends(2, &["cannot be used with"]);
    loadtest(&["run", "--mix", "dance"]).await.ends(2, &["shop, browse, checkout, flash-sale, impatient"]);
    loadtest(&["run", "--fail", "speed>9"]).await.ends(2, &["no metric of the report"]);
    loadtest(&["run", "--compare", "/nowhere.json"]).await.ends(2, &["--compare: cannot read /nowhere.json"]);
}
