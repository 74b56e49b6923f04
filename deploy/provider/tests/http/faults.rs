//! Faults for all tokens, and the counts that prove how many calls came at once.

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{body, code, expect_no_answer, read, start_new, until};

#[tokio::test]
async fn faults_are_switched_one_by_one() {
    let (_folder, provider) = start_new(&[]);
    let none = json!({
        "black_hole": false,
        "fail_rate_percent": 0,
        "rate_limit": false,
        "latency_ms": 0,
        "key_window_ms": null,
        "permanent_reference": true,
        "enforce_not_after": true,
        "webhook_copies": 1,
        "webhook_shuffle": false,
        "webhook_hold": false,
    });
    assert_eq!(read(provider.get("/admin/faults")).await, (StatusCode::OK, none.clone()));
    let changes = [
        json!({"key_window_ms": 5}),
        json!({"permanent_reference": false}),
        json!({"enforce_not_after": false}),
        json!({"webhook_copies": 5}),
        json!({"webhook_shuffle": true}),
        json!({"webhook_hold": true}),
        json!({"black_hole": true}),
        json!({"black_hole": false, "rate_limit": true}),
    ];
    let mut expected = none.clone();
    for change in changes {
        expected.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(provider.set_faults(&change).await, (StatusCode::OK, expected.clone()), "{change}");
    }
    assert_eq!(code(&provider.charge("k", &body("tok_ok", "r")).await), (429, "rate_limited"));
    let change = json!({"rate_limit": false, "fail_rate_percent": 50});
    expected.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    assert_eq!(provider.set_faults(&change).await, (StatusCode::OK, expected.clone()));
    let bad = [
        json!({"fail_rate_percent": 101}),
        json!({"black_hole": 1}),
        json!({"blackhole": true}),
        json!({"webhook_copies": 0}),
        json!({"webhook_copies": 6}),
        json!({"key_window_ms": 0}),
        json!({"key_window_ms": "1h"}),
    ];
    for bad in bad {
        assert_eq!(code(&provider.set_faults(&bad).await), (400, "bad_request"), "{bad}");
    }
    assert_eq!(read(provider.get("/admin/faults")).await.1, expected, "a bad change changes nothing");
    let mut statuses = Vec::new();
    for call in 0..4 {
        statuses.push(provider.charge(&format!("k{call}"), &body("tok_ok", &format!("r{call}"))).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 500, 200, 500]);
    assert_eq!(provider.ledger().await.len(), 2, "a failure has no effect");
    assert_eq!(provider.set_faults(&none).await.1, none, "what is shown can be sent back");
}

#[tokio::test]
async fn a_black_hole_takes_charges_without_answer_or_effect() {
    let (_folder, provider) = start_new(&["--black-hole-ms", "50"]);
    provider.set_faults(&json!({"black_hole": true})).await;
    expect_no_answer(provider.charge_request("k", &body("tok_ok", "r"))).await;
    assert_eq!(read(provider.get("/health/ready")).await.0, StatusCode::OK);
    assert!(provider.ledger().await.is_empty());
    provider.set_faults(&json!({"black_hole": false})).await;
    assert_eq!(provider.charge("k", &body("tok_ok", "r")).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_number_of_charges_at_once_is_seen() {
    let (_folder, provider) = start_new(&["--black-hole-ms", "5000"]);
    provider.set_faults(&json!({"black_hole": true})).await;
    let mut calls = JoinSet::new();
    for key in 0..20 {
        calls.spawn(provider.charge_request(&format!("k{key}"), &body("tok_ok", "r")).send());
    }
    until("all are in flight", async || provider.stats().await["in_flight"] == 20).await;
    calls.shutdown().await;
    assert_eq!(provider.stats().await["in_flight"], 20, "a caller that hangs up ends nothing");
    until("all are over", async || provider.stats().await["in_flight"] == 0).await;
    provider.set_faults(&json!({"black_hole": false})).await;
    provider.charge("k", &body("tok_ok", "r")).await;
    let stats = provider.stats().await;
    assert_eq!((&stats["in_flight"], &stats["max_in_flight"], &stats["requests"]), (&json!(0), &json!(20), &json!(21)));
    assert_eq!(stats["by_status"], json!({"200": 1, "unanswered": 20}));
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_above_the_bound_get_503_and_nothing_else_does() {
    let (_folder, provider) = start_new(&["--charges-max", "2", "--black-hole-ms", "5000"]);
    provider.set_faults(&json!({"black_hole": true})).await;
    let mut calls = JoinSet::new();
    for key in 0..2 {
        calls.spawn(provider.charge_request(&format!("k{key}"), &body("tok_ok", "r")).send());
    }
    until("both are in flight", async || provider.stats().await["in_flight"] == 2).await;
    provider.set_faults(&json!({"black_hole": false})).await;
    let refused = provider.charge_request("k", &body("tok_ok", "r")).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(read(provider.get("/health/ready")).await.0, StatusCode::OK);
    assert!(provider.ledger().await.is_empty());
    calls.shutdown().await;
    until("there is room again", async || provider.charge("k", &body("tok_ok", "r")).await.0 == StatusCode::OK).await;
}
