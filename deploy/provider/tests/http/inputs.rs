//! Bad input is named, answered 400 and has no effect.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{body, body_with, code, read, start_new};

#[tokio::test]
async fn bad_bodies_are_refused_and_named() {
    let (_folder, provider) = start_new(&[]);
    let mut unknown_field = body("tok_ok", "r");
    unknown_field["note"] = json!("x");
    let bad: [(Value, &str); 14] = [
        (body("tok_unknown", "r"), "unknown variant `tok_unknown`, expected one of `tok_ok`"),
        (body("visa", "r"), "unknown variant"),
        (body_with("/amount/amount_minor", json!(0)), "1 to 1000000000"),
        (body_with("/amount/amount_minor", json!(-1)), "1 to 1000000000"),
        (body_with("/amount/amount_minor", json!(1_000_000_001)), "1 to 1000000000"),
        (body_with("/amount/amount_minor", json!(12.5)), "floating point"),
        (body_with("/amount/currency", json!("gbp")), "three capital letters"),
        (body_with("/amount/currency", json!("POUND")), "three capital letters"),
        (body_with("/reference", json!("")), "reference must be 1 to 255"),
        (body_with("/reference", json!("a".repeat(256))), "reference must be 1 to 255"),
        (body_with("/reference", json!("a b")), "reference must be 1 to 255"),
        (body_with("/not_after_ms", json!("soon")), "invalid type"),
        (unknown_field, "unknown field `note`"),
        (json!({}), "missing field"),
    ];
    for (body, expected) in bad {
        let answer = provider.charge("k", &body).await;
        assert_eq!(code(&answer), (400, "bad_request"), "{body}");
        assert!(answer.1["message"].as_str().unwrap().contains(expected), "{body}: {}", answer.1);
    }
    let largest = provider.charge("k", &body_with("/amount/amount_minor", json!(1_000_000_000))).await;
    assert_eq!(largest.0, StatusCode::OK, "a refused body does not use up its key");
    assert_eq!(provider.ledger().await.len(), 1);
}

#[tokio::test]
async fn bodies_above_16_kib_are_refused() {
    let (_folder, provider) = start_new(&[]);
    for (spaces, expected) in [(15_000, 200), (17_000, 400), (200_000, 400)] {
        let padded = format!("{}{}", body("tok_ok", "r"), " ".repeat(spaces));
        let answer = provider.post("/charges").header("Idempotency-Key", "k").body(padded).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), expected, "{spaces} spaces");
    }
}

#[tokio::test]
async fn keys_must_be_one_name_of_visible_ascii() {
    let (_folder, provider) = start_new(&[]);
    let (short, long) = (body("tok_ok", "r1"), body("tok_ok", "r2"));
    assert_eq!(code(&read(provider.post("/charges").json(&short)).await), (400, "bad_request"));
    for key in ["", "a b", "caf\u{e9}", &"k".repeat(256)] {
        assert_eq!(code(&provider.charge(key, &short).await), (400, "bad_request"), "{key}");
    }
    let twice = provider.charge_request("k", &short).header("Idempotency-Key", "k2");
    assert_eq!(code(&read(twice).await), (400, "bad_request"));
    assert_eq!(provider.charge("!", &short).await.0, StatusCode::OK);
    assert_eq!(provider.charge(&"~".repeat(255), &long).await.0, StatusCode::OK);
}

#[tokio::test]
async fn other_pages_answer_in_json_too() {
    let (_folder, provider) = start_new(&[]);
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(read(provider.get(path)).await, (StatusCode::OK, json!({"status": "ok"})));
    }
    assert_eq!(code(&read(provider.get("/nothing")).await), (404, "not_found"));
    assert_eq!(code(&read(provider.get("/charges")).await), (405, "method_not_allowed"));
}
