//! `kill -9` of one node of every family, one after the other, while sixteen customers buy: the audit from outside holds,
//! and no customer waits longer than the killed node needs to come back.

use std::{path::PathBuf, process::Command, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::Shop;

const FAMILIES: [&str; 7] = ["frontend", "logic", "sessions", "carts", "catalogue", "orders", "payments"];

/// The load test's binary, built beside ours.
fn loadtest() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_trestle")).with_file_name("loadtest");
    assert!(path.exists(), "{} is missing: cargo build -p loadtest", path.display());
    path
}

/// Kills a node and waits until it is ready again; answers how long that took.
async fn kill(shop: &Shop, id: &str) -> Duration {
    let pid = shop.node(id)["pid"].clone();
    let started = Instant::now();
    let killed = shop.trestle(&["kill", id]);
    assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    shop.until("the killed node is back", async || {
        let node = shop.node(id);
        node["state"] == "ready" && node["pid"] != pid
    })
    .await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_holds_whoever_dies() {
    let shop = Shop::start().await;
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut quick = Command::new(loadtest())
        .args(["quick", "--customers", "16", "--duration", "20s"])
        // Each lost answer keeps a permit until the provider must be done, and with one payments node dead half of the
        // permits are left: of more of them the customers would rightly be told to wait.
        .args(["--tokens", "tok_ok=98,tok_charge_then_timeout=2"])
        .args(["--target", &format!("{},{}", shop.url(1, ""), shop.url(2, "")), "--provider", &shop.provider_url()])
        .arg("--json")
        .arg(report.path())
        .spawn()
        .unwrap();
    shop.until("the customers are buying", async || shop.ledger().await.len() > 20).await;
    let mut longest = Duration::ZERO;
    for (number, family) in FAMILIES.iter().enumerate() {
        longest = longest.max(kill(&shop, &format!("{family}-{}", 1 + number % 2)).await);
    }
    let running = quick.try_wait().unwrap().is_none();
    let ended = tokio::task::spawn_blocking(move || quick.wait()).await.unwrap().unwrap();
    assert!(running, "every node was killed while the customers were buying");
    let report: Value = serde_json::from_slice(&std::fs::read(report.path()).unwrap()).unwrap();
    assert!(ended.success(), "{report:#}");
    let outage = report["longest_outage"]["ms"].as_u64().unwrap_or_default();
    assert!(u128::from(outage) <= longest.as_millis(), "outage {outage} ms, longest restart {longest:?}: {report:#}");
}
