//! The suite of `store/conformance.rs` on every back end.
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use orders::store::{SqlOrders, conformance, conformance::Pair};
use store::StoreUri;
use testkit::postgres::Postgres;

/// Two nodes of the family open one database at once, as they do when the shop starts.
async fn pair(uri: &StoreUri, [one, two]: [orders::store::Periods; 2]) -> Pair {
    let (first, second) = tokio::join!(SqlOrders::open(uri), SqlOrders::open(uri));
    [Arc::new(first.unwrap().with_periods(one)), Arc::new(second.unwrap().with_periods(two))]
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (folder, databases) = (tempfile::tempdir().unwrap(), AtomicU32::new(0));
    conformance::suite(async |periods| {
        let path = folder.path().join(format!("orders-{}.db", databases.fetch_add(1, Ordering::Relaxed)));
        pair(&StoreUri::Sqlite(path), periods).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = Postgres::fast();
    conformance::suite(async |periods| pair(&server.new_database().parse().unwrap(), periods).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated() {
    conformance::suite(async |[one, two]| {
        let store = orders::store::SimulatedOrders::new(runtime::Seams::system(), store::simulated::no_faults());
        let pair: Pair = [Arc::new(store.clone().with_periods(one)), Arc::new(store.with_periods(two))];
        pair
    })
    .await;
}

/// T-10: in a process that has the bug, the suite must fail. Nothing to see in a build without `runtime/seeded-bugs`.
#[test]
fn seeded_bugs_of_the_stores_are_caught() {
    let bugs = if runtime::bugs::BUILT_IN { &["greedy-reaper", "no-guard", "outbox-up-to-max"][..] } else { &[] };
    for bug in bugs {
        for store in ["sqlite", "simulated"] {
            testkit::seeded::assert_caught(bug, store, "conformance/");
        }
    }
}
