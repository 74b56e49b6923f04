//! The conformance suite on every back end.
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

use std::sync::Arc;

use carts::store::{CartStore, conformance};
use contract::cart::Cart;
use rpc::InProcess;
use runtime::{Node, Seams, Secret};
use store::{RedisMap, Replicated, StoreUri};
use testkit::redis::{Cluster, Redis, SentinelSet};

fn node() -> Node {
    Node::assemble("carts", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap()
}

#[tokio::test]
async fn memory_conforms() {
    conformance::suite(async || {
        let node = node();
        let carts = Replicated::<Cart>::open(&node, Arc::new(InProcess::default()), None, "a:1", 1_000).await;
        Arc::new(carts) as Arc<dyn CartStore>
    })
    .await;
}

/// The suite on the Redis at this URI, whose masters are these.
async fn redis_conforms(uri: &str, masters: &[Redis]) {
    let Ok(StoreUri::Redis(uri)) = uri.parse() else { panic!("{uri} is no Redis") };
    conformance::suite(async || {
        masters.iter().for_each(|master| assert_eq!(master.told(&["FLUSHALL"]), "OK"));
        Arc::new(RedisMap::<Cart>::open(&node(), &uri).await.unwrap()) as Arc<dyn CartStore>
    })
    .await;
}

#[tokio::test]
async fn one_redis_conforms() {
    let server = Redis::with(&[]);
    redis_conforms(&server.uri(), std::slice::from_ref(&server)).await;
}

#[tokio::test]
async fn redis_sentinel_conforms() {
    let set = SentinelSet::start(1);
    redis_conforms(&format!("{}?wait=1", set.uri()), &set.servers[..1]).await;
}

#[tokio::test]
async fn redis_cluster_conforms() {
    let cluster = Cluster::start();
    redis_conforms(&format!("{}?wait=1", cluster.uri()), &cluster.nodes[..3]).await;
}
