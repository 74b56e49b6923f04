//! The drill of a backup: copied under load by `deploy/backup/backup.sh`, both stores destroyed, restored, started on the same
//! provider. What the copy holds is whole; what came after it is lost here and not at the provider, and reconciliation finds
//! each charge of it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use testkit::{postgres::Postgres, redis::Redis};

use crate::{cluster::Shop, loadtest};

fn script(name: &str, folder: &Path, environment: &[(&str, &str)]) -> (bool, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../backup").join(name);
    let output = Command::new("bash").arg(path).arg(folder).envs(environment.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

async fn start(postgres: &Postgres, redis: &Redis, data: Option<&Path>) -> Shop {
    Shop::start_with(|up| {
        up.env("TRESTLE_DATABASE", postgres.uri()).env("TRESTLE_REDIS", redis.uri());
        // What came after the backup is young here, and would be left for later.
        up.env("TRESTLE_RECONCILE_GRACE_S", "0");
        if let Some(ledger) = data {
            // The provider is another company: what it knows outlives our disks.
            let into = Path::new(up.get_args().last().unwrap()).join("provider-ledger.jsonl");
            std::fs::copy(ledger, into).unwrap();
        }
    })
    .await
}

fn count(postgres: &Postgres, what: &str) -> usize {
    postgres.sql("trestle", &format!("SELECT count(*) FROM {what}")).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_backup_under_load_is_whole_and_what_came_after_it_is_found() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let shop = start(&postgres, &redis, None).await;
    let copy = tempfile::tempdir().unwrap();
    let mut load = Command::new(loadtest());
    load.args([
        "quick",
        "--customers",
        "4",
        "--duration",
        "8s",
        "--target",
        &format!("{},{}", shop.url(1, ""), shop.url(2, "")),
    ]);
    load.args(["--provider", &shop.provider_url()]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let load = load.spawn().unwrap();
    shop.until("some orders are made", async || shop.ledger().await.len() >= 20).await;
    let environment = [("POSTGRES", &*postgres.uri()), ("REDIS", &redis.uri())];
    let (done, said) = script("backup.sh", copy.path(), &environment);
    assert!(done, "{said}");
    let at_backup = shop.ledger().await.len();
    let load = load.wait_with_output().unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stdout));
    let charges = shop.ledger().await;
    assert!(charges.len() > at_backup, "nobody bought anything after the backup");
    let carts = redis.told(&["DBSIZE"]);

    let (done, said) = script("restore.sh", copy.path(), &[("POSTGRES", &*postgres.uri()), ("REDIS_DATA", "none")]);
    assert!(!done && said.contains("stop them first"), "a shop that runs is not restored over: {said}");
    let ledger = copy.path().join("ledger");
    std::fs::copy(shop.data().join("provider-ledger.jsonl"), &ledger).unwrap();
    drop(shop);
    postgres.sql("postgres", "DROP DATABASE trestle WITH (FORCE)").unwrap();
    postgres.sql("postgres", "CREATE DATABASE trestle").unwrap();
    redis.told(&["FLUSHALL"]);
    redis.stop();
    let data = redis.data();
    let environment = [("POSTGRES", &*postgres.uri()), ("REDIS_DATA", data.to_str().unwrap())];
    let (done, said) = script("restore.sh", copy.path(), &environment);
    assert!(done, "{said}");
    redis.start_again();
    let restored = redis.told(&["DBSIZE"]);
    assert!(restored != "0", "{carts} carts and sessions were there at the end, and none is now");

    let shop = start(&postgres, &redis, Some(&ledger)).await;
    // Checkouts that were open at that moment end: the provider knows their keys.
    let open = "orders.operations WHERE state = 'accepted'";
    shop.until("nothing is open", async || count(&postgres, open) == 0).await;
    let orders = count(&postgres, "orders.operations WHERE state = 'completed'");
    let lost = charges.len() - orders;
    assert_eq!(shop.ledger().await.len(), charges.len(), "a restore charges nobody");
    assert!(orders >= 10 && lost > 0, "{orders} orders of {} charges", charges.len());
    let found = shop.trestle(&["reconcile", "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(
        found["differences"], lost,
        "each charge that came after the backup waits for a person, and nothing else does"
    );
    println!(
        "{} charges, {orders} orders in the backup, {lost} found by reconciliation; {restored} keys in Redis",
        charges.len()
    );
}
