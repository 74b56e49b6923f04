//! The shop is told of every charge, signed, at least once, and in as much disorder as was asked for.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::path::PathBuf;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::json;
use sha2::Sha256;

use crate::harness::{Provider, body, code, command, start_new, until};
use crate::receiver::Receiver;

const SECRET: &str = "a secret of the tests";

/// The options for webhooks to these URLs. The secret is in a file of the folder.
fn options(folder: &tempfile::TempDir, urls: &[String]) -> Vec<String> {
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let mut options = vec!["--webhook-secret-file".to_owned(), secret.to_str().unwrap().to_owned()];
    for url in urls {
        options.extend(["--webhook".to_owned(), url.clone()]);
    }
    options
}

fn start(folder: &tempfile::TempDir, urls: &[String], more: &[&str]) -> Provider {
    let options = options(folder, urls);
    let all: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Provider::start(&ledger(folder), &all)
}

fn ledger(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("ledger.jsonl")
}

async fn until_counts(provider: &Provider, field: &str, count: u64) {
    let what = format!("webhooks.{field} is {count}");
    until(&what, async || provider.stats().await["webhooks"][field] == count).await;
}

#[tokio::test]
async fn a_charge_is_announced_and_signed_and_nothing_else_is() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[receiver.url()], &[]);
    provider.charge("declined", &body("tok_declined", "r0")).await;
    let charge = provider.charge("k", &body("tok_ok", "r")).await.1;
    provider.charge("k", &body("tok_ok", "r")).await;
    until_counts(&provider, "delivered", 1).await;
    let received = receiver.received();
    assert_eq!(received.len(), 1, "a decline and a repeat are no news");
    let event = received[0].event();
    let time: jiff::Timestamp = charge["time"].as_str().unwrap().parse().unwrap();
    let expected = json!({
        "id": event["id"],
        "type": "charge.succeeded",
        "created_at_ms": time.as_millisecond(),
        "charge": {"id": charge["id"], "key": "k", "reference": "r", "amount": charge["amount"]},
    });
    assert_eq!(event, expected);
    assert!(event["id"].as_str().unwrap().starts_with("evt_"), "{event}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&received[0].body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received[0].signature, format!("sha256={hex}"));
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_announced_all_the_same() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[receiver.url()], &[]);
    assert_eq!(code(&provider.charge("k", &body("tok_charge_then_500", "r")).await).0, 500);
    until("it is announced", async || receiver.references() == ["r"]).await;
}

#[tokio::test]
async fn an_event_is_tried_until_it_is_taken() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::SERVICE_UNAVAILABLE).await);
    let provider = start(&folder, &[receiver.url()], &[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    until("it was refused three times", async || receiver.received().len() >= 3).await;
    receiver.answer(StatusCode::NO_CONTENT);
    until_counts(&provider, "delivered", 1).await;
    let webhooks = provider.stats().await["webhooks"].clone();
    let failed = webhooks["failed_attempts"].as_u64().unwrap();
    assert_eq!(webhooks, json!({"waiting": 0, "delivered": 1, "failed_attempts": failed, "dropped": 0}));
    let received = receiver.received();
    assert_eq!(received.len() as u64, failed + 1);
    assert!(received.iter().all(|one| *one == received[0]), "every try is the same event with the same signature");
}

#[tokio::test]
async fn each_url_is_tried_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, good) = (Receiver::start(StatusCode::FOUND).await, Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[bad.url(), good.url()], &[]);
    provider.charge("k", &body("tok_ok", "r")).await;
    until_counts(&provider, "delivered", 1).await;
    assert_eq!((bad.references(), good.references()), (vec!["r".to_owned()], vec!["r".to_owned()]));
    assert_eq!(provider.stats().await["webhooks"]["failed_attempts"], 0);
}

#[tokio::test]
async fn events_can_be_copied_and_held() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[receiver.url()], &[]);
    provider.set_faults(&json!({"webhook_copies": 3, "webhook_hold": true})).await;
    provider.charge("k", &body("tok_ok", "r")).await;
    assert_eq!(provider.stats().await["webhooks"]["waiting"], 3);
    assert!(receiver.received().is_empty());
    provider.set_faults(&json!({"webhook_hold": false})).await;
    until_counts(&provider, "delivered", 3).await;
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|copy| *copy == received[0]), "copies carry one id");
}

#[tokio::test]
async fn events_can_be_shuffled() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[receiver.url()], &[]);
    provider.set_faults(&json!({"webhook_shuffle": true})).await;
    let references: Vec<String> = (10..40).map(|number| format!("r{number}")).collect();
    for reference in &references {
        provider.charge(reference, &body("tok_ok", reference)).await;
    }
    until_counts(&provider, "delivered", 30).await;
    let mut received = receiver.references();
    assert_ne!(received, references);
    received.sort_unstable();
    assert_eq!(received, references, "each once");
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[receiver.url()], &["--webhook-queue-max", "2"]);
    provider.set_faults(&json!({"webhook_hold": true})).await;
    for reference in ["r1", "r2", "r3"] {
        assert_eq!(provider.charge(reference, &body("tok_ok", reference)).await.0, StatusCode::OK);
    }
    let expected = json!({"waiting": 2, "delivered": 0, "failed_attempts": 0, "dropped": 1});
    assert_eq!(provider.stats().await["webhooks"], expected);
    provider.set_faults(&json!({"webhook_hold": false})).await;
    until_counts(&provider, "delivered", 2).await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn what_waits_when_the_provider_dies_is_announced_by_the_next() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start(StatusCode::OK).await);
    let provider = start(&folder, &[receiver.url()], &[]);
    provider.set_faults(&json!({"webhook_hold": true})).await;
    provider.charge("k", &body("tok_ok", "r")).await;
    provider.kill();
    assert!(receiver.received().is_empty());
    let provider = start(&folder, &[receiver.url()], &[]);
    until_counts(&provider, "delivered", 1).await;
    assert_eq!(receiver.references(), ["r"]);
}

#[tokio::test]
async fn a_receiver_that_is_gone_stops_neither_charges_nor_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let gone = Receiver::start(StatusCode::OK).await.url();
    let provider = start(&folder, &[gone], &[]);
    assert_eq!(provider.charge("k", &body("tok_ok", "r")).await.0, StatusCode::OK);
    until("it was tried", async || provider.stats().await["webhooks"]["failed_attempts"].as_u64() > Some(0)).await;
    assert_eq!(provider.stats().await["webhooks"]["waiting"], 1);
    provider.stop();
}

#[test]
fn settings_that_cannot_work_are_named() {
    let (folder, provider) = start_new(&[]);
    provider.stop();
    let url = "http://127.0.0.1:9/".to_owned();
    let secret = folder.path().join("secret").to_str().unwrap().to_owned();
    let (good, https) =
        (options(&folder, std::slice::from_ref(&url)), options(&folder, &["https://localhost/".to_owned()]));
    std::fs::write(folder.path().join("short"), " 15 bytes long.\n\n").unwrap();
    let short = folder.path().join("short").to_str().unwrap().to_owned();
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let cases = [
        (https, "no TLS"),
        (vec!["--webhook".to_owned(), url.clone()], "--webhook-secret-file"),
        (vec!["--webhook-secret-file".to_owned(), secret], "--webhook <URL>"),
        (["--webhook", &url, "--webhook-secret-file", &short].map(str::to_owned).to_vec(), "has 14 bytes"),
        (["--webhook", &url, "--webhook-secret-file", &missing].map(str::to_owned).to_vec(), "cannot read"),
        ([good, options(&folder, &vec![url; 8])[2..].to_vec()].concat(), "8 times at most"),
    ];
    for (options, expected) in cases {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let output = command(&ledger(&folder), &options).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(expected), "{expected}: {message}");
    }
}
