//! One key, one charge; one reference, one charge; nothing after `not_after_ms`.

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{body, body_with, code, read, start_new};

#[tokio::test]
async fn a_key_with_other_parameters_is_refused() {
    let (_folder, provider) = start_new(&[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    let others = [
        ("/amount/amount_minor", json!(1300)),
        ("/amount/currency", json!("USD")),
        ("/token", json!("tok_slow")),
        ("/reference", json!("r2")),
        ("/not_after_ms", json!(1)),
    ];
    for (pointer, value) in others {
        assert_eq!(code(&provider.charge("k", &body_with(pointer, value)).await), (422, "key_reused"), "{pointer}");
    }
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn a_reference_is_charged_once_and_found_for_good() {
    let (_folder, provider) = start_new(&[]);
    let path = "/charges/by-reference/order%2F1";
    assert_eq!(code(&read(provider.get(path)).await), (404, "not_found"));
    let charge = provider.charge("k1", &body("tok_ok", "order/1")).await;
    assert_eq!(read(provider.get(path)).await, charge);
    assert_eq!(code(&provider.charge("k2", &body("tok_ok", "order/1")).await), (409, "reference_used"));
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn too_late_is_remembered() {
    let (_folder, provider) = start_new(&[]);
    let late = body_with("/not_after_ms", json!(1_234_567_890_123_i64));
    for _ in 0..2 {
        assert_eq!(code(&provider.charge("k", &late).await), (410, "too_late"));
    }
    assert_eq!(code(&provider.charge("k", &body("tok_ok", "r")).await), (422, "key_reused"));
    assert!(provider.ledger().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_calls_of_one_key_are_one_charge() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_ok", "r");
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        calls.spawn(read(provider.charge_request("k", &body)));
    }
    let answers = calls.join_all().await;
    let truth = provider.charge("k", &body).await;
    assert_eq!(truth.0, StatusCode::OK);
    let charged = answers.iter().filter(|answer| **answer == truth).count();
    let waiting = answers.iter().filter(|answer| code(answer) == (409, "in_progress")).count();
    assert!(charged >= 1);
    assert_eq!(charged + waiting, 64, "{answers:?}");
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_keys_of_one_reference_are_one_charge() {
    let (_folder, provider) = start_new(&[]);
    let body = body("tok_ok", "r");
    let mut calls = JoinSet::new();
    for key in 0..64 {
        calls.spawn(read(provider.charge_request(&format!("k{key}"), &body)));
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.0 == StatusCode::OK).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.0 == StatusCode::CONFLICT).count(), 63);
    assert_eq!(provider.ledger().await.len(), 1);
}
