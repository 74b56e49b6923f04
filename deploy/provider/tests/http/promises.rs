//! Promises that an operator can switch off: keys for ever, permanent references, `not_after_ms`.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Provider, body, body_with, code, read, refund_body, start_new, until};

#[tokio::test]
async fn a_forgotten_key_charges_again_where_references_are_not_unique() {
    let (folder, provider) = start_new(&[]);
    let change = json!({"key_window_ms": 1, "permanent_reference": false});
    assert_eq!(provider.set_faults(&change).await.0, StatusCode::OK);
    let first = provider.charge("k", &body("tok_ok", "r")).await;
    until("the key is forgotten", async || {
        let again = provider.charge("k", &body("tok_ok", "r")).await;
        again.0 == StatusCode::OK && again.1["id"] != first.1["id"]
    })
    .await;
    assert_eq!(provider.ledger().await.len(), 2);
    assert_eq!(code(&read(provider.get("/charges/by-reference/r")).await), (501, "not_supported"));
    assert_eq!(provider.charge("k2", &body("tok_ok", "r")).await.0, StatusCode::OK);
    provider.stop();

    let provider = Provider::start(&folder.path().join("ledger.jsonl"), &[]);
    assert!(provider.warnings.is_empty(), "{:?}", provider.warnings);
    assert_eq!(provider.ledger().await.len(), 3, "repeated keys and references are no damage");
    assert_eq!(read(provider.get("/charges/by-reference/r")).await, first, "permanent again: the oldest is found");
    assert_eq!(code(&provider.charge("k3", &body("tok_ok", "r")).await), (409, "reference_used"));
    for (key, status) in [("a", 200), ("b", 200), ("c", 200), ("d", 409)] {
        assert_eq!(provider.refund(key, &refund_body("r", 1299)).await.0.as_u16(), status, "each charge once");
    }
}

#[tokio::test]
async fn a_permanent_reference_protects_when_the_key_is_forgotten() {
    let (_folder, provider) = start_new(&[]);
    provider.set_faults(&json!({"key_window_ms": 1})).await;
    let first = provider.charge("k", &body("tok_ok", "r")).await;
    until("the key is forgotten", async || {
        code(&provider.charge("k", &body("tok_ok", "r")).await) == (409, "reference_used")
    })
    .await;
    assert_eq!(read(provider.get("/charges/by-reference/r")).await, first);
    assert_eq!(provider.ledger().await.len(), 1);
    provider.set_faults(&json!({"key_window_ms": null})).await;
    assert_eq!(provider.charge("k", &body("tok_ok", "r")).await, first, "null: remembered for ever");
}

#[tokio::test]
async fn a_key_within_its_window_is_remembered() {
    let (_folder, provider) = start_new(&[]);
    provider.set_faults(&json!({"key_window_ms": 3_600_000, "permanent_reference": false})).await;
    let first = provider.charge("k", &body("tok_ok", "r")).await;
    assert_eq!(provider.charge("k", &body("tok_ok", "r")).await, first);
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn not_after_can_be_switched_off() {
    let (_folder, provider) = start_new(&[]);
    let late = body_with("/not_after_ms", json!(1));
    provider.set_faults(&json!({"enforce_not_after": false})).await;
    assert_eq!(provider.charge("k", &late).await.0, StatusCode::OK);
    provider.set_faults(&json!({"enforce_not_after": true})).await;
    let other = json!({"reference": "r2", "not_after_ms": 1, "token": "tok_ok", "amount": late["amount"]});
    assert_eq!(code(&provider.charge("k2", &other).await), (410, "too_late"));
}
