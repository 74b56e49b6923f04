//! The conformance suites on every back end.

use std::sync::Arc;

use contract::session::Session;
use rpc::InProcess;
use runtime::{Node, Seams, Secret};
use sessions::store::{AccountStore, SessionStore, SqlAccounts, conformance};
use store::{Replicated, StoreUri};

#[tokio::test]
async fn sqlite_keeps_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let files = std::sync::atomic::AtomicU32::new(0);
    conformance::accounts(async || {
        let number = files.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(format!("{number}.db"));
        let open = async || Arc::new(SqlAccounts::open(&StoreUri::Sqlite(path.clone())).await.unwrap());
        let stores: [Arc<dyn AccountStore>; 2] = [open().await, open().await];
        stores
    })
    .await;
}

#[tokio::test]
async fn postgres_keeps_accounts() {
    let server = testkit::postgres::Postgres::fast();
    conformance::accounts(async || {
        let uri: StoreUri = server.new_database().parse().unwrap();
        let open = async || Arc::new(SqlAccounts::open(&uri).await.unwrap());
        let stores: [Arc<dyn AccountStore>; 2] = [open().await, open().await];
        stores
    })
    .await;
}

#[tokio::test]
async fn memory_keeps_sessions() {
    conformance::sessions(async || {
        let node = Node::assemble("sessions", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
        let sessions = Replicated::<Session>::open(&node, Arc::new(InProcess::default()), None, "a:1", 1_000).await;
        Arc::new(sessions) as Arc<dyn SessionStore>
    })
    .await;
}
