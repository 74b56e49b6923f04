//! The conformance suites on every back end.

use std::sync::Arc;

use contract::session::Session;
use rpc::InProcess;
use runtime::{ManualClock, Node, Seams, Secret, SystemRandom};
use sessions::store::{AccountStore, SessionStore, SqlAccounts, conformance};
use store::{RedisMap, Replicated, StoreUri};
use testkit::redis::{Cluster, Redis, SentinelSet};

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

/// The suite on the Redis at this URI, whose masters are these.
async fn redis_keeps_sessions(uri: &str, masters: &[Redis]) {
    let Ok(StoreUri::Redis(uri)) = uri.parse() else { panic!("{uri} is no Redis") };
    // The suite's sessions end soon after 1970; a Redis would forget them at once.
    let seams = Seams { clock: Arc::new(ManualClock::at(0)), random: Arc::new(SystemRandom) };
    let node = Node::assemble("sessions", "1", seams, Secret::new("0123456789abcdef").unwrap()).unwrap();
    conformance::sessions(async || {
        masters.iter().for_each(|master| assert_eq!(master.told(&["FLUSHALL"]), "OK"));
        Arc::new(RedisMap::<Session>::open(&node, &uri).await.unwrap()) as Arc<dyn SessionStore>
    })
    .await;
}

#[tokio::test]
async fn one_redis_keeps_sessions() {
    let server = Redis::with(&[]);
    redis_keeps_sessions(&server.uri(), std::slice::from_ref(&server)).await;
}

#[tokio::test]
async fn redis_sentinel_keeps_sessions() {
    let set = SentinelSet::start(1);
    redis_keeps_sessions(&format!("{}?wait=1", set.uri()), &set.servers[..1]).await;
}

#[tokio::test]
async fn redis_cluster_keeps_sessions() {
    let cluster = Cluster::start();
    redis_keeps_sessions(&format!("{}?wait=1", cluster.uri()), &cluster.nodes[..3]).await;
}
