//! The suite of `catalogue::conformance` on every back end.

use std::sync::{Arc, Mutex};

use catalogue::{
    conformance,
    store::{SimulatedCatalogue, SqlCatalogue, StockStore as _},
};
use contract::OperationId;
use store::{StoreError, StoreUri, simulated::Fault};
use testkit::postgres::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    // Kept until the end: a dropped folder is deleted.
    let folders = Mutex::new(Vec::new());
    conformance::suite(async || {
        let folder = tempfile::tempdir().unwrap();
        let store = SqlCatalogue::open(&StoreUri::Sqlite(folder.path().join("catalogue.db"))).await.unwrap();
        folders.lock().unwrap().push(folder);
        Arc::new(store)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = Postgres::fast();
    conformance::suite(async || Arc::new(SqlCatalogue::open(&server.new_database().parse().unwrap()).await.unwrap()))
        .await;
}

#[tokio::test]
async fn simulated() {
    conformance::suite(async || Arc::new(SimulatedCatalogue::default())).await;
}

/// T-10: in a process that has the bug, the suite must fail. Nothing to see in a build without `runtime/seeded-bugs`.
#[test]
fn seeded_bugs_of_the_store_are_caught() {
    let bugs = if runtime::bugs::BUILT_IN { &["release-leaves-no-mark"][..] } else { &[] };
    for bug in bugs {
        for store in ["sqlite", "simulated"] {
            testkit::seeded::assert_caught(bug, store, "src/conformance.rs");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_of_the_simulated_store_may_or_may_not_have_been_a_commit() {
    let next = Arc::new(Mutex::new(Fault::None));
    let told = next.clone();
    let store = SimulatedCatalogue::new(Arc::new(move |_| *told.lock().unwrap()));
    let operation = |n| OperationId(uuid::Uuid::from_u128(n));
    let settled_after = async |fault, n| {
        *next.lock().unwrap() = fault;
        let release = store.release(operation(n)).await;
        *next.lock().unwrap() = Fault::None;
        let refused = store.settle(&std::iter::once(operation(n)).collect()).await.unwrap();
        (release, refused[0].1)
    };
    use contract::catalogue::EndRefusal::{EndedOtherwise, NotReserved};
    assert!(matches!(settled_after(Fault::UnknownApplied, 1).await, (Err(StoreError::Unknown(_)), EndedOtherwise)));
    assert!(matches!(settled_after(Fault::UnknownNotApplied, 2).await, (Err(StoreError::Unknown(_)), NotReserved)));
    assert!(matches!(settled_after(Fault::NotExecuted, 3).await, (Err(StoreError::NotExecuted(_)), NotReserved)));
}
