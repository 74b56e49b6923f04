//! The binary as its users run it, against a stub shop that is told what to get wrong: the audit must see each fault,
//! and must accept the good twin.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, also in its helpers")]

mod open_loop;
mod stub;

use std::process::Stdio;

use serde_json::Value;
use stub::Fault;
use tokio::process::Command;

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

async fn loadtest(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

async fn quick(fault: Fault, more: &[&str]) -> Run {
    let stub = stub::start(fault).await;
    let mut arguments = vec!["quick", "--target", &stub.url, "--provider", &stub.url, "--seed", "7"];
    arguments.extend(["--customers", "3"]);
    arguments.extend(more);
    if !more.contains(&"--duration") {
        arguments.extend(["--duration", "400ms"]);
    }
    loadtest(&arguments).await
}

impl Run {
    #[track_caller]
    fn ends(&self, code: i32, sentences: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        for sentence in sentences {
            let said = self.stdout.contains(sentence) || self.stderr.contains(sentence);
            assert!(said, "`{sentence}` is not in:\n{}{}", self.stdout, self.stderr);
        }
    }
}

#[tokio::test]
async fn a_good_shop_passes() {
    let good = quick(Fault::None, &["--fail", "p99(checkout)<10s", "--fail", "errors<1"]).await;
    good.ends(0, &["audit: PASS", "threshold p99(checkout)<10s: holds", "outage seen by one call: none", "unknown 0;"]);
}

#[tokio::test]
async fn every_planted_fault_fails_the_audit_and_is_named() {
    for (fault, sentence) in [
        (Fault::LoseOrder, "order order-2 was acknowledged but is lost; charges: 1"),
        (Fault::DoubleCharge, "order order-2 was charged 2 times"),
        (Fault::WrongAmount, "order order-2 costs"),
        (Fault::NoCharge, "order order-2 has no charge"),
        (Fault::StrayCharge, "for nobody, which is no order of ours"),
    ] {
        quick(fault, &[]).await.ends(99, &[sentence, "audit: FAIL"]);
    }
}

#[tokio::test]
async fn strangers_are_ignored_when_the_run_is_not_exclusive() {
    quick(Fault::StrayCharge, &["--exclusive", "false"]).await.ends(0, &["audit: PASS"]);
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_under_the_same_key() {
    let run = quick(Fault::LoseReplies, &[]).await;
    run.ends(0, &["error: checkout: 500 broken", "unknown 0;", "(+ recovered 0)", "audit: PASS"]);
    assert!(!run.stdout.contains("retries 0"), "{}", run.stdout);
}

#[tokio::test]
async fn a_shaky_shop_costs_retries_but_no_orders() {
    let shaky = quick(Fault::Shaky, &["--duration", "1s"]).await;
    shaky.ends(0, &["503", "longest outage seen by one call: ", "audit: PASS"]);
    quick(Fault::Shaky, &["--fail", "errors<1"]).await.ends(99, &["threshold errors<1: FAILED", "audit: PASS"]);
}

#[tokio::test]
async fn a_checkout_that_takes_long_is_followed_to_its_end() {
    quick(Fault::Slow, &[]).await.ends(0, &["order ", "unknown 0;", "audit: PASS"]);
}

#[tokio::test]
async fn an_order_that_stays_open_fails() {
    let run = quick(Fault::Stuck, &["--give-up-after", "500ms", "--quiesce", "500ms"]).await;
    run.ends(99, &["is still open (accepted), 1 charges", "audit: FAIL"]);
}

#[tokio::test]
async fn customers_who_were_never_told_are_recovered_but_alone_prove_nothing() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/never_reply.json");
    let run = quick(Fault::NeverReply, &["--give-up-after", "300ms", "--json", file]).await;
    run.ends(99, &["no checkout was acknowledged", "audit: UNKNOWN"]);
    let report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(report["audit"]["verdict"], "UNKNOWN");
    assert!(report["unknown"].as_u64().unwrap() > 0);
    assert_eq!(report["audit"]["recovered"], report["unknown"]);
    assert_eq!(report["audit"]["orders"], report["audit"]["charges"]);
}

#[tokio::test]
async fn a_closed_shop_is_no_pass() {
    let run = quick(Fault::Closed, &["--give-up-after", "300ms", "--quiesce", "500ms"]).await;
    run.ends(99, &["left neither an order nor a charge", "checkout: 503 closed", "audit: UNKNOWN"]);
}

#[tokio::test]
async fn declined_checkouts_leave_no_trace() {
    let mixed = quick(Fault::None, &["--tokens", "tok_ok=50,tok_declined=50", "--fail", "declined>0"]).await;
    mixed.ends(0, &["audit: PASS", "threshold declined>0: holds"]);
    quick(Fault::None, &["--token", "tok_declined"]).await.ends(99, &["acknowledged 0", "audit: UNKNOWN"]);
}

#[tokio::test]
async fn a_changed_price_is_agreed_on_again() {
    let run = quick(Fault::PriceChanges, &[]).await;
    run.ends(0, &["audit: PASS"]);
    assert!(!run.stdout.contains("total changed 0"), "{}", run.stdout);
}

#[tokio::test]
async fn a_cart_that_counts_an_add_twice_is_noticed() {
    quick(Fault::DoubleAdd, &["--fail", "errors(cart)<1"]).await.ends(99, &["error: cart: cart is not what was added"]);
}

#[tokio::test]
async fn an_interrupted_run_is_still_audited() {
    let mut stub = stub::start(Fault::None).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(["quick", "--target", &stub.url, "--provider", &stub.url, "--duration", "1h"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    stub.orders.wait_for(|orders| *orders >= 5).await.unwrap();
    let pid = child.id().unwrap().to_string();
    // The shell's own `kill`: the program of that name is missing from small images.
    let interrupt = Command::new("sh").args(["-c", "kill -INT \"$0\"", &pid]).status();
    assert!(interrupt.await.unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains("audit: PASS"), "{stdout}");
}

#[tokio::test]
async fn a_dead_target_is_named_before_the_run() {
    let stub = stub::start(Fault::None).await;
    let dead = "http://127.0.0.1:1";
    let run = loadtest(&["quick", "--target", dead, "--provider", &stub.url]).await;
    run.ends(2, &["--target http://127.0.0.1:1/ does not answer", "cargo run --release"]);
    let run = loadtest(&["quick", "--target", &stub.url, "--provider", dead]).await;
    run.ends(2, &["--provider http://127.0.0.1:1/ does not show its ledger", "cargo run --release"]);
    loadtest(&["yardstick", "--target", dead]).await.ends(2, &["does not answer", "cargo run --release"]);
}

#[tokio::test]
async fn usage_errors_are_explained() {
    loadtest(&["quick", "--duration", "20"]).await.ends(2, &["`20` has no unit"]);
    loadtest(&["quick", "--target", "http://192.0.2.1"]).await.ends(2, &["--i-own-this-host"]);
    loadtest(&["quick", "--token", "tok_ok", "--tokens", "tok_ok=1"]).await.ends(2, &["cannot be used with"]);
    loadtest(&["quick", "--fail", "speed>9"]).await.ends(2, &["no metric of the report"]);
}

#[tokio::test]
async fn the_yardstick_compares_a_shop_with_the_naive_chain() {
    let stub = stub::start(Fault::None).await;
    let run = loadtest(&["yardstick", "--target", &stub.url, "--requests", "200", "--concurrency", "2"]).await;
    run.ends(0, &["200 each, 2 at a time, 10 alternating slices", "errors 0", "shop/naive throughput: "]);
}

#[tokio::test]
async fn chaos_without_a_shop_to_torment_says_what_is_missing() {
    let run = loadtest(&["chaos", "--trestle", "/nowhere/trestle"]).await;
    run.ends(2, &["/nowhere/trestle is missing", "cargo build --release -p trestle", "--trestle"]);
    loadtest(&["chaos", "--faults", "flood"]).await.ends(2, &["flood", "kill, pause, provider, database"]);
    loadtest(&["chaos", "--database-restart", "true"]).await.ends(2, &["--database <URI>"]);
}
