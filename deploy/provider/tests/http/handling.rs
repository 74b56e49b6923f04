//! Handling goes on without the caller, is counted, and ends in time.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{body, code, expect_no_answer, read, start_new, until};

/// The shortest that is allowed.
const BOUND: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test]
async fn the_bound_cuts_every_wait() {
    let long = ["--late-ms", "60000", "--slow-ms", "60000", "--hold-ms", "60000", "--black-hole-ms", "60000"];
    let (_folder, provider) = start_new(&[&["--max-handling-ms", "1000"], &long[..]].concat());
    let started = Instant::now();
    let bodies = ["tok_late", "tok_slow", "tok_charge_then_timeout"].map(|token| body(token, token));
    let (late, slow, ()) = tokio::join!(
        provider.charge("late", &bodies[0]),
        provider.charge("slow", &bodies[1]),
        expect_no_answer(provider.charge_request("timeout", &bodies[2])),
    );
    assert_eq!((late.0, slow.0), (StatusCode::OK, StatusCode::OK));
    assert!(started.elapsed() < BOUND + SLACK, "{:?}", started.elapsed());
    assert_eq!(provider.ledger().await.len(), 3);

    provider.set_faults(&json!({"black_hole": true})).await;
    let started = Instant::now();
    expect_no_answer(provider.charge_request("hole", &body("tok_ok", "hole"))).await;
    assert!((BOUND..BOUND + SLACK).contains(&started.elapsed()), "{:?}", started.elapsed());
    provider.set_faults(&json!({"black_hole": false})).await;
    assert_eq!(code(&read(provider.get("/charges/by-reference/hole")).await), (404, "not_found"));
    assert_eq!(provider.ledger().await.len(), 3, "it is forgotten, not kept for later");
}

#[tokio::test]
async fn a_call_whose_caller_left_is_in_flight_until_it_is_over() {
    let (_folder, provider) = start_new(&["--late-ms", "1500"]);
    let call = provider.charge_request("k", &body("tok_late", "r")).timeout(Duration::from_millis(500)).send();
    assert!(call.await.expect_err("an answer came").is_timeout());
    // The first to look, in case the machine slept over the whole wait: the ledger. Then in_flight must be honest.
    let stats = provider.stats().await;
    let ledger = provider.ledger().await;
    assert!(stats["in_flight"] == 1 || ledger.len() == 1, "{stats}");
    provider.until_ledger_has(1).await;
    until("it is over", async || provider.stats().await["in_flight"] == 0).await;
    let stats = provider.stats().await;
    assert_eq!((&stats["max_in_flight"], &stats["by_status"]), (&json!(1), &json!({"unanswered": 1})));
}

#[tokio::test]
async fn every_request_can_be_made_to_take_its_time() {
    let (_folder, provider) = start_new(&[]);
    provider.set_faults(&json!({"latency_ms": 400})).await;
    let started = Instant::now();
    let bodies = ["r1", "r2"].map(|reference| body("tok_ok", reference));
    let (one, two) = tokio::join!(provider.charge("k1", &bodies[0]), provider.charge("k2", &bodies[1]));
    assert_eq!((one.0, two.0), (StatusCode::OK, StatusCode::OK));
    assert!(started.elapsed() >= Duration::from_millis(400));
    let stats = provider.stats().await;
    assert!(
        stats["busy_ms"].as_u64() >= Some(800)
            && stats["busy_ms"].as_u64() <= stats["elapsed_ms"].as_u64().map(|ms| 2 * ms),
        "{stats}"
    );
}

#[tokio::test]
async fn counts_start_anew_on_request() {
    let (_folder, provider) = start_new(&[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    assert_eq!(provider.stats().await["requests"], 1);
    let webhooks = json!({"waiting": 0, "delivered": 0, "failed_attempts": 0, "dropped": 0});
    let none = json!({
        "in_flight": 0, "max_in_flight": 0, "requests": 0, "busy_ms": 0, "elapsed_ms": 0, "by_status": {}, "webhooks": webhooks,
    });
    assert_eq!(read(provider.post("/admin/reset-stats")).await, (StatusCode::OK, none.clone()));
    let mut later = provider.stats().await;
    later["elapsed_ms"] = json!(0);
    assert_eq!(later, none);
    assert_eq!(provider.ledger().await.len(), 1, "the ledger stays");
}

#[test]
fn a_bound_out_of_range_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for bound in ["999", "30001"] {
        let ledger = folder.path().join("ledger.jsonl");
        let output = crate::harness::command(&ledger, &["--max-handling-ms", bound]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains("1000..=30000"), "{message}");
    }
}
