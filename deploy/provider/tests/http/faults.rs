//! Faults for all tokens, and the counts that prove how many calls came at once.

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{body, code, expect_no_answer, read, start_new, until};

#[tokio::test]
async fn faults_are_switched_one_by_one() {
    let (_folder, provider) = start_new(&[]);
    let none = json!({"black_hole": false, "fail_rate_percent": 0, "rate_limit": false});
    assert_eq!(read(provider.get("/admin/faults")).await, (StatusCode::OK, none.clone()));
    let limited = json!({"black_hole": false, "fail_rate_percent": 0, "rate_limit": true});
    assert_eq!(provider.set_faults(&json!({"rate_limit": true})).await, (StatusCode::OK, limited));
    assert_eq!(code(&provider.charge("k", &body("tok_ok", "r")).await), (429, "rate_limited"));
    let failing = json!({"black_hole": false, "fail_rate_percent": 50, "rate_limit": false});
    let change = json!({"rate_limit": false, "fail_rate_percent": 50});
    assert_eq!(provider.set_faults(&change).await, (StatusCode::OK, failing.clone()));
    for bad in [json!({"fail_rate_percent": 101}), json!({"black_hole": 1}), json!({"blackhole": true})] {
        assert_eq!(code(&provider.set_faults(&bad).await), (400, "bad_request"), "{bad}");
    }
    assert_eq!(read(provider.get("/admin/faults")).await.1, failing, "a bad change changes nothing");
    let mut statuses = Vec::new();
    for call in 0..4 {
        statuses.push(provider.charge(&format!("k{call}"), &body("tok_ok", &format!("r{call}"))).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 500, 200, 500]);
    assert_eq!(provider.ledger().await.len(), 2, "a failure has no effect");
    assert_eq!(provider.set_faults(&json!({"fail_rate_percent": 0})).await.1, none);
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
    let (_folder, provider) = start_new(&[]);
    provider.set_faults(&json!({"black_hole": true})).await;
    let mut calls = JoinSet::new();
    for key in 0..20 {
        calls.spawn(provider.charge_request(&format!("k{key}"), &body("tok_ok", "r")).send());
    }
    until("all are in flight", async || provider.stats().await["in_flight"] == 20).await;
    calls.shutdown().await;
    until("all have hung up", async || provider.stats().await["in_flight"] == 0).await;
    provider.set_faults(&json!({"black_hole": false})).await;
    provider.charge("k", &body("tok_ok", "r")).await;
    let expected =
        json!({"in_flight": 0, "max_in_flight": 20, "requests": 21, "by_status": {"200": 1, "unanswered": 20}});
    assert_eq!(provider.stats().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_above_the_bound_get_503_and_nothing_else_does() {
    let (_folder, provider) = start_new(&["--charges-max", "2"]);
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
