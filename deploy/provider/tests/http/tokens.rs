//! Each test token does what its name says, and a repeat of the key gets the truth.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{body, code, expect_no_answer, start_new, until};

#[tokio::test]
async fn tok_ok_charges_once_and_repeats_its_answer() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_ok", "order-1");
    let first = provider.charge("k", &body).await;
    assert_eq!(first.0, StatusCode::OK);
    assert!(first.1["id"].as_str().unwrap().starts_with("ch_"));
    assert_eq!(first.1["status"], "charged");
    assert_eq!((&first.1["key"], &first.1["reference"]), (&json!("k"), &json!("order-1")));
    assert_eq!(first.1["amount"], body["amount"]);
    assert_eq!(provider.charge("k", &body).await, first);
    let rows = provider.ledger().await;
    let time = first.1["time"].clone();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    let row = json!({"key": "k", "reference": "order-1", "amount": body["amount"], "time": time});
    assert_eq!(rows, [row]);
}

#[tokio::test]
async fn tok_declined_declines_for_good() {
    let (_folder, provider) = start_new(&[]);
    for _ in 0..2 {
        let answer = provider.charge("k", &body("tok_declined", "r")).await;
        assert_eq!(code(&answer), (402, "card_declined"));
        assert_eq!(answer.1["status"], "declined");
    }
    assert!(provider.ledger().await.is_empty());
}

#[tokio::test]
async fn tok_slow_charges_at_once_and_answers_late() {
    let (_folder, provider) = start_new(&["--slow-ms", "500"]);
    let body = body("tok_slow", "r");
    let started = Instant::now();
    let (answer, early) = tokio::join!(provider.charge("k", &body), async {
        provider.until_ledger_has(1).await;
        provider.charge("k", &body).await
    });
    assert!(started.elapsed() >= Duration::from_millis(500));
    assert_eq!(answer.0, StatusCode::OK);
    assert_eq!(early, answer, "a repeat need not wait");
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_charge_then_timeout_charges_and_closes_without_an_answer() {
    let (_folder, provider) = start_new(&["--hold-ms", "50"]);
    let body = body("tok_charge_then_timeout", "r");
    expect_no_answer(provider.charge_request("k", &body)).await;
    assert_eq!(provider.ledger().await.len(), 1);
    assert_eq!(provider.stats().await["by_status"], json!({"unanswered": 1}));
    let repeat = provider.charge("k", &body).await;
    assert_eq!((repeat.0, &repeat.1["status"]), (StatusCode::OK, &json!("charged")));
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_charge_then_timeout_holds_the_connection() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_charge_then_timeout", "r");
    let first = provider.charge_request("k", &body).timeout(Duration::from_millis(500)).send();
    let error = first.await.expect_err("an answer came");
    assert!(error.is_timeout(), "the connection was closed: {error:?}");
    assert_eq!(provider.charge("k", &body).await.0, StatusCode::OK);
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_charge_then_500_charges_and_fails() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_charge_then_500", "r");
    assert_eq!(code(&provider.charge("k", &body).await), (500, "internal_error"));
    assert_eq!(provider.ledger().await.len(), 1);
    assert_eq!(provider.charge("k", &body).await.0, StatusCode::OK);
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_500_no_charge_fails_once_without_effect() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_500_no_charge", "r");
    assert_eq!(code(&provider.charge("k", &body).await), (500, "internal_error"));
    assert!(provider.ledger().await.is_empty());
    assert_eq!(provider.charge("k", &body).await.0, StatusCode::OK);
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_429_refuses_two_calls() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_429", "r");
    for _ in 0..2 {
        let answer = provider.charge_request("k", &body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    assert!(provider.ledger().await.is_empty());
    assert_eq!(provider.charge("k", &body).await.0, StatusCode::OK);
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_late_charges_after_its_caller_has_left() {
    let (_folder, provider) = start_new(&["--late-ms", "2000"]);
    let body = body("tok_late", "r");
    let first = provider.charge_request("k", &body).timeout(Duration::from_millis(500)).send();
    assert!(first.await.expect_err("an answer came").is_timeout());
    assert_eq!(code(&provider.charge("k", &body).await), (409, "in_progress"));
    assert!(provider.ledger().await.is_empty());
    provider.until_ledger_has(1).await;
    until("it is over", async || provider.stats().await["in_flight"] == 0).await;
    assert_eq!(provider.charge("k", &body).await.0, StatusCode::OK);
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn tok_late_is_too_late_when_not_after_passes_meanwhile() {
    let (_folder, provider) = start_new(&["--late-ms", "1000"]);
    let other = provider.charge("clock", &body("tok_ok", "clock")).await;
    let now: i64 = other.1["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let mut body = body("tok_late", "r");
    body["not_after_ms"] = json!(now + 500);
    for _ in 0..2 {
        assert_eq!(code(&provider.charge("k", &body).await), (410, "too_late"));
    }
    assert_eq!(provider.ledger().await.len(), 1, "only the charge that told the time");
}
