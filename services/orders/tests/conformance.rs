//! The suite of `store/conformance.rs` on every back end, and what only one back end promises.

use std::sync::Arc;

use contract::orders::{Attention, Driver, Due, Events};
use orders::store::{OrderStore, SqlOrders, conformance};
use store::StoreUri;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::suite(async || {
        number += 1;
        let path = folder.path().join(format!("orders-{number}.db"));
        let store: Arc<dyn OrderStore> = Arc::new(SqlOrders::open(&StoreUri::Sqlite(path.clone())).await.unwrap());
        store
    })
    .await;
}

/// Two nodes of the family open one file at once, as they do when the shop starts.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_open_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    let uri = StoreUri::Sqlite(path);
    let (one, two) = tokio::join!(SqlOrders::open(&uri), SqlOrders::open(&uri));
    let (one, two) = (one.unwrap(), two.unwrap());
    let limit = contract::orders::Events { limit: 1 };
    for node in [Arc::new(one) as Arc<dyn OrderStore>, Arc::new(two)] {
        assert!(node.events(limit.clone()).await.unwrap().is_empty());
    }
}

/// Rows of a newer version, or spoiled ones: a person gets them, and they hold nothing else up (IK-17, CO-26).
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_holds_nothing_else_up() {
    const GOOD: &str = "01920000-0000-7000-8000-000000000001";
    const NEWER: &str = "01920000-0000-7000-8000-000000000002";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    let store = SqlOrders::open(&StoreUri::Sqlite(path.clone())).await.unwrap();
    let raw = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let snapshot = r#"{"lines":[],"total":{"amount_minor":1998,"currency":"GBP"},"address":null,
        "cart":"01920000-0000-7000-8000-000000000003","epoch":0,"ops":[]}"#;
    // The unreadable one is the first in line.
    for (id, version, next_try) in [(NEWER, 99, 1), (GOOD, 1, 2)] {
        let insert = "INSERT INTO operations (id, principal, request_key, fingerprint, version, state, snapshot, payment, \
                      created_at_ms, not_after_ms, lease_until_ms, next_try_at_ms) \
                      VALUES ($1, $1, $1, x'00', $2, 'accepted', $3, 'tok_ok', 1, 1, 0, $4)";
        sqlx::query(insert).bind(id).bind(version).bind(snapshot).bind(next_try).execute(&raw).await.unwrap();
    }
    for (id, kind) in [(NEWER, r#""of_a_newer_version""#), (GOOD, r#""settle_stock""#)] {
        let insert = "INSERT INTO outbox (id, operation, kind, created_at_ms) VALUES ($1, $1, $2, 1)";
        sqlx::query(insert).bind(id).bind(kind).execute(&raw).await.unwrap();
    }

    let due = store.due(Due { driver: Driver(uuid::Uuid::from_u128(1)), limit: 10 }).await.unwrap();
    assert_eq!(due.iter().map(|checkout| checkout.operation.to_string()).collect::<Vec<_>>(), [GOOD]);
    let attention = store.attention(Attention { limit: 10 }).await.unwrap();
    assert_eq!((attention.len(), attention[0].id.to_string()), (1, NEWER.to_owned()));
    assert!(
        attention[0].reason.contains("newer") && attention[0].amount == Some(contract::Money::gbp(1998)),
        "{attention:?}"
    );
    let events = store.events(Events { limit: 10 }).await.unwrap();
    assert_eq!(events.iter().map(|event| event.id.to_string()).collect::<Vec<_>>(), [GOOD]);
}
