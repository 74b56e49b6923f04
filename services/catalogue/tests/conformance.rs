//! The suite of `catalogue::conformance` on every back end.

use std::sync::{Arc, Mutex};

use catalogue::{conformance, store::SqlCatalogue};
use store::StoreUri;

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
