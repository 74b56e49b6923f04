//! The suite of `store/conformance.rs` on every back end, and what only one back end promises.

use std::sync::Arc;

use orders::store::{OrderStore, SqliteOrders, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::suite(async || {
        number += 1;
        let path = folder.path().join(format!("orders-{number}.db"));
        let store: Arc<dyn OrderStore> = Arc::new(SqliteOrders::open(&path).await.unwrap());
        store
    })
    .await;
}

/// Two nodes of the family open one file at once, as they do when the shop starts.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_open_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    let (one, two) = tokio::join!(SqliteOrders::open(&path), SqliteOrders::open(&path));
    let (one, two) = (one.unwrap(), two.unwrap());
    let limit = contract::orders::Events { limit: 1 };
    for node in [Arc::new(one) as Arc<dyn OrderStore>, Arc::new(two)] {
        assert!(node.events(limit.clone()).await.unwrap().is_empty());
    }
}
