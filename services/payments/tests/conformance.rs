//! The suite of `payments::conformance` on every back end.

use std::sync::{Arc, Mutex};

use payments::{
    conformance,
    store::{PaymentStore, SimulatedCharges, SqlCharges},
};
use store::StoreUri;
use testkit::postgres::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    // Kept until the end: a dropped folder is deleted.
    let folders = Mutex::new(Vec::new());
    conformance::suite(async || {
        let folder = tempfile::tempdir().unwrap();
        let store = SqlCharges::open(&StoreUri::Sqlite(folder.path().join("payments.db"))).await.unwrap();
        folders.lock().unwrap().push(folder);
        Arc::new(store) as Arc<dyn PaymentStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = Postgres::fast();
    conformance::suite(async || {
        Arc::new(SqlCharges::open(&server.new_database().parse().unwrap()).await.unwrap()) as Arc<dyn PaymentStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated() {
    conformance::suite(async || Arc::new(SimulatedCharges::new(runtime::Seams::system())) as Arc<dyn PaymentStore>)
        .await;
}
