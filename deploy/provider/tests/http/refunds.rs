//! A charge is refunded whole, once, for ever.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Provider, body, code, expect_no_answer, read, refund_body, start_new};

#[tokio::test]
async fn a_refund_is_made_once_and_repeats_its_answer() {
    let (_folder, provider) = start_new(&[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    let ledger = provider.ledger().await;
    let first = provider.refund("k", &refund_body("r", 1299)).await;
    let id = first.1["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("re_"), "{id}");
    let expected = json!({"id": id, "reference": "r", "amount": {"amount_minor": 1299, "currency": "GBP"}});
    assert_eq!(first, (StatusCode::OK, expected));
    assert_eq!(provider.refund("k", &refund_body("r", 1299)).await, first, "keys of charges and refunds are apart");
    assert_eq!(code(&provider.refund("k2", &refund_body("r", 1299)).await), (409, "already_refunded"));
    assert_eq!(code(&provider.refund("k", &refund_body("r", 1)).await), (422, "key_reused"));

    let rows = provider.refunds().await;
    let time = rows[0]["time"].clone();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    assert_eq!(rows, [json!({"id": id, "key": "k", "reference": "r", "amount": first.1["amount"], "time": time})]);
    assert_eq!(provider.ledger().await, ledger, "the ledger of charges stays as it is");
    assert_eq!(code(&provider.charge("k3", &body("tok_ok", "r")).await), (409, "reference_used"));
}

#[tokio::test]
async fn what_cannot_be_refunded_is_named_and_leaves_its_key_free() {
    let (_folder, provider) = start_new(&[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    let mut unknown_field = refund_body("r", 1299);
    unknown_field["reason"] = json!("x");
    let other_currency = json!({"reference": "r", "amount": {"amount_minor": 1299, "currency": "USD"}});
    let refused: [(Value, (u16, &str)); 7] = [
        (refund_body("r2", 1299), (404, "not_found")),
        (refund_body("r", 1298), (422, "full_amount_only")),
        (other_currency, (422, "full_amount_only")),
        (refund_body("r", 0), (400, "bad_request")),
        (refund_body("a b", 1299), (400, "bad_request")),
        (unknown_field, (400, "bad_request")),
        (json!({"reference": "r"}), (400, "bad_request")),
    ];
    for (body, expected) in refused {
        assert_eq!(code(&provider.refund("k", &body).await), expected, "{body}");
    }
    let without_key = read(provider.post("/refunds").json(&refund_body("r", 1299))).await;
    assert_eq!(code(&without_key), (400, "bad_request"));
    assert!(provider.refunds().await.is_empty());
    assert_eq!(provider.refund("k", &refund_body("r", 1299)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_restart_remembers_refunds() {
    let (folder, provider) = start_new(&[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    let refund = provider.refund("k", &refund_body("r", 1299)).await;
    let (ledger, refunds) = (provider.ledger().await, provider.refunds().await);
    provider.kill();

    let provider = Provider::start(&folder.path().join("ledger.jsonl"), &[]);
    assert!(provider.warnings.is_empty(), "{:?}", provider.warnings);
    assert_eq!((provider.ledger().await, provider.refunds().await), (ledger, refunds));
    assert_eq!(provider.refund("k", &refund_body("r", 1299)).await, refund);
    assert_eq!(code(&provider.refund("k2", &refund_body("r", 1299)).await), (409, "already_refunded"));
    assert_eq!(provider.charge("k2", &body("tok_ok", "r2")).await.0, StatusCode::OK, "lines go on after a refund");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_refunds_of_one_charge_are_one() {
    let (_folder, provider) = start_new(&[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    let mut calls = JoinSet::new();
    for key in 0..64 {
        calls.spawn(read(provider.refund_request(&format!("k{key}"), &refund_body("r", 1299))));
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.0 == StatusCode::OK).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.0 == StatusCode::CONFLICT).count(), 63);
    assert_eq!(provider.refunds().await.len(), 1);
}

#[tokio::test]
async fn faults_meet_refunds_too() {
    let (_folder, provider) = start_new(&["--black-hole-ms", "50"]);
    provider.charge("k", &body("tok_ok", "r")).await;
    provider.set_faults(&json!({"rate_limit": true})).await;
    assert_eq!(code(&provider.refund("k", &refund_body("r", 1299)).await), (429, "rate_limited"));
    provider.set_faults(&json!({"rate_limit": false, "black_hole": true})).await;
    expect_no_answer(provider.refund_request("k", &refund_body("r", 1299))).await;
    assert!(provider.refunds().await.is_empty());
}
