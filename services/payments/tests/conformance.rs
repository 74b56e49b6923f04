//! The suite of `payments::conformance` on every back end.

use std::sync::{Arc, Mutex};

use payments::{
    conformance,
    store::{ChargeStore, SqliteCharges},
};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    // Kept until the end: a dropped folder is deleted.
    let folders = Mutex::new(Vec::new());
    conformance::suite(async || {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteCharges::open(&folder.path().join("payments.db")).await.unwrap();
        folders.lock().unwrap().push(folder);
        Arc::new(store) as Arc<dyn ChargeStore>
    })
    .await;
}
