//! The conformance suites on every back end.
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

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

/// Who was logged in logs in again: no error, and nothing that has to be cleaned up first.
#[tokio::test]
async fn an_emptied_redis_knows_no_session_and_no_errors() {
    let server = Redis::with(&[]);
    let Ok(StoreUri::Redis(uri)) = server.uri().parse() else { panic!("no Redis") };
    let node = Node::assemble("sessions", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
    let sessions = RedisMap::<Session>::open(&node, &uri).await.unwrap();
    let (id, now_ms) = (contract::SessionId::of_token("guest"), node.seams.now_ms());
    let principal = contract::PrincipalId(uuid::Uuid::from_u128(1));
    let session = Session { principal, account: None, expires_at_ms: now_ms + 60_000, revoked: false };
    sessions.open(id, session.clone()).await.unwrap();
    // An hour longer than it is honoured: clocks differ.
    let kept_s: i64 = server.told(&["TTL", &format!("session:{id}")]).parse().unwrap();
    assert!((3_600..=3_660).contains(&kept_s), "{kept_s}");
    assert_eq!(server.told(&["FLUSHALL"]), "OK");
    assert_eq!(sessions.session(id).await.unwrap(), None);
    assert_eq!(sessions.open(id, session.clone()).await.unwrap(), session);
    sessions.revoke(id, Session { revoked: true, ..session }).await.unwrap();
    assert!(sessions.session(id).await.unwrap().unwrap().revoked);
}
