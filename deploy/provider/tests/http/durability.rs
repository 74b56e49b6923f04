//! The ledger outlives the process, however it ends.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Provider, body, body_with, code, command, read, start_new, until};

#[tokio::test]
async fn a_restart_remembers_charges_declines_and_too_late_marks() {
    let (folder, provider) = start_new(&[]);
    let ledger = folder.path().join("ledger.jsonl");
    let late = body_with("/not_after_ms", json!(1));
    let charged = provider.charge("charged", &body("tok_ok", "r1")).await;
    let declined = provider.charge("declined", &body("tok_declined", "r2")).await;
    let too_late = provider.charge("late", &late).await;
    let rows = provider.ledger().await;
    provider.stop();

    let provider = Provider::start(&ledger, &[]);
    assert!(provider.warnings.is_empty(), "{:?}", provider.warnings);
    assert_eq!(provider.ledger().await, rows);
    assert_eq!(read(provider.get("/charges/by-reference/r1")).await, charged);
    assert_eq!(provider.charge("charged", &body("tok_ok", "r1")).await, charged);
    assert_eq!(provider.charge("declined", &body("tok_declined", "r2")).await, declined);
    assert_eq!(provider.charge("late", &late).await, too_late);
    assert_eq!(code(&provider.charge("other", &body("tok_ok", "r1")).await), (409, "reference_used"));
    let next = provider.charge("next", &body("tok_ok", "r3")).await;
    assert_ne!(next.1["id"], charged.1["id"]);
    assert_eq!(provider.ledger().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_no_answered_charge() {
    let (folder, provider) = start_new(&[]);
    let ledger = folder.path().join("ledger.jsonl");
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let calls: Vec<_> = (0..1_000)
            .map(|call| format!("k-{caller}-{call}"))
            .map(|key| (provider.charge_request(&key, &body("tok_ok", &key)), key))
            .collect();
        callers.spawn(async move {
            let mut answered = Vec::new();
            for (call, key) in calls {
                match call.send().await {
                    Ok(answer) if answer.status() == StatusCode::OK => answered.push(key),
                    Ok(answer) => panic!("unexpected {}", answer.status()),
                    Err(_) => break,
                }
            }
            answered
        });
    }
    until("charges flow", async || provider.ledger().await.len() >= 200).await;
    provider.kill();
    let answered: Vec<String> = callers.join_all().await.into_iter().flatten().collect();
    assert!(answered.len() >= 100, "{}", answered.len());

    let provider = Provider::start(&ledger, &[]);
    let rows = provider.ledger().await;
    let mut keys: Vec<&str> = rows.iter().map(|row| row["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    for key in &answered {
        assert!(keys.binary_search(&key.as_str()).is_ok(), "{key} was answered and is lost");
    }
    keys.dedup();
    assert_eq!(keys.len(), rows.len(), "a key was charged twice");
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_with_a_warning() {
    let (folder, provider) = start_new(&[]);
    let ledger = folder.path().join("ledger.jsonl");
    provider.charge("k1", &body("tok_ok", "r1")).await;
    provider.kill();
    let whole = fs::read(&ledger).unwrap();
    OpenOptions::new().append(true).open(&ledger).unwrap().write_all(&whole[..whole.len() / 2]).unwrap();

    let provider = Provider::start(&ledger, &[]);
    assert!(provider.warnings.concat().contains("torn last line"), "{:?}", provider.warnings);
    assert_eq!(provider.ledger().await.len(), 1);
    provider.charge("k2", &body("tok_ok", "r2")).await;
    provider.stop();
    let provider = Provider::start(&ledger, &[]);
    assert!(provider.warnings.is_empty(), "{:?}", provider.warnings);
    assert_eq!(provider.ledger().await.len(), 2);
}

#[tokio::test]
async fn a_failed_write_ends_the_provider_and_a_restart_knows_every_answered_charge() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.jsonl");
    let provider = Provider::start_on_a_small_disk(&ledger);
    let mut answered = 0;
    for call in 0..100 {
        let key = format!("k{call}");
        match provider.charge_request(&key, &body("tok_ok", &key)).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => answered += 1,
            Ok(answer) => panic!("unexpected {}", answer.status()),
            Err(_) => break,
        }
    }
    assert!((1..100).contains(&answered), "{answered}");
    let (status, rest) = provider.wait();
    assert!(!status.success() && rest.contains("cannot write to the ledger"), "{status}: {rest}");

    let provider = Provider::start(&ledger, &[]);
    assert_eq!(provider.ledger().await.len(), answered);
}

#[test]
fn a_start_that_cannot_work_says_why() {
    let (folder, provider) = start_new(&[]);
    let in_use = folder.path().join("ledger.jsonl");
    let damaged = folder.path().join("damaged.jsonl");
    fs::write(&damaged, "{}\n").unwrap();
    let nowhere = folder.path().join("no-such-folder/ledger.jsonl");
    let cases = [(in_use, "in use by another provider"), (damaged, "damaged in line 1"), (nowhere, "cannot open")];
    for (ledger, expected) in cases {
        let output = command(&ledger, &[]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(expected), "{message}");
        assert!(message.contains("--ledger"), "the setting is named: {message}");
    }
    provider.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_work_and_ends_waits() {
    let (folder, provider) = start_new(&["--slow-ms", "1000", "--late-ms", "60000"]);
    let calls = [("k1", "tok_slow"), ("k2", "tok_late"), ("k3", "tok_charge_then_timeout")];
    let mut running = JoinSet::new();
    for (key, token) in calls {
        let call = provider.charge_request(key, &body(token, key));
        running.spawn(async move { (key, call.send().await.ok().map(|answer| answer.status())) });
    }
    provider.until_ledger_has(2).await;
    until("all are in flight", async || provider.stats().await["in_flight"] == 3).await;
    let started = Instant::now();
    provider.signal(Signal::INT);
    let (status, _) = tokio::task::spawn_blocking(|| provider.wait()).await.unwrap();
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(5), "the whole shop ends within 5 s");
    let mut answers = running.join_all().await;
    answers.sort_unstable();
    let expected = [("k1", Some(StatusCode::OK)), ("k2", None), ("k3", None)];
    assert_eq!(answers, expected, "what can be finished is finished, and nothing else is answered");

    let provider = Provider::start(&folder.path().join("ledger.jsonl"), &[]);
    let mut keys: Vec<Value> = provider.ledger().await.iter().map(|row| row["key"].clone()).collect();
    keys.sort_by_key(Value::to_string);
    assert_eq!(keys, ["k1", "k3"]);
}
