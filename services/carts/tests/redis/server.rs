//! One server: emptied, restarted, made a replica, without the replicas that it is to wait for.

use std::sync::Arc;

use carts::store::CartStore as _;
use contract::cart::Cart;
use store::{RedisMap, StoreError};
use testkit::redis::{Redis, until};
use tokio::task::JoinSet;

use super::{Client, cart, load::Load, node, redis, shared, sku};

#[tokio::test(flavor = "multi_thread")]
async fn writers_through_two_clients_lose_nothing() {
    let server = Redis::with(&[]);
    let clients = [shared(&server.uri()).await, shared(&server.uri()).await];
    let mut writers = JoinSet::new();
    for number in 0..20 {
        let client = clients[number % 2].clone();
        writers.spawn(async move {
            for add in 0..10 {
                let key = format!("{number}-{add}");
                client.add_somehow(cart(1), &key).await;
            }
        });
    }
    writers.join_all().await;
    for client in &clients {
        let kept = client.carts.cart(cart(1)).await.unwrap();
        assert_eq!((kept.seen.len(), kept.quantity(&sku())), (200, 200));
    }
    let met = clients.iter().any(|client| client.node.metrics.page().contains("trestle_redis_meetings"));
    assert!(met, "nobody met anybody, so this shows nothing");
}

#[tokio::test]
async fn an_emptied_redis_has_empty_carts_and_no_errors() {
    let server = Redis::with(&[]);
    let client = Client::open(&server.uri()).await;
    client.add(cart(1), "before").await.unwrap();
    assert_eq!(server.told(&["FLUSHALL"]), "OK");
    assert_eq!(client.carts.cart(cart(1)).await.unwrap(), Cart::default());
    assert!(client.carts.page(None).await.unwrap().is_empty());
    client.add(cart(1), "after").await.unwrap();
    assert!(!client.has(cart(1), "before").await && client.has(cart(1), "after").await);
}

/// A value that nobody misses any more is Redis's to forget; a change begins its time anew.
#[tokio::test]
async fn a_cart_is_kept_for_30_days_after_its_last_change() {
    let server = Redis::with(&[]);
    let client = Client::open(&server.uri()).await;
    let key = format!("cart:{}", cart(1).0);
    for add in ["one", "two", "two"] {
        client.add(cart(1), add).await.unwrap();
        let kept_s: i64 = server.told(&["TTL", &key]).parse().unwrap();
        assert!((30 * 86_400 - 60..=30 * 86_400).contains(&kept_s), "{kept_s}");
        assert_eq!(server.told(&["EXPIRE", &key, "100"]), "1");
    }
    // A read does not.
    assert!(client.has(cart(1), "one").await);
    assert_eq!(server.told(&["TTL", &key]), "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_restarted_loses_nothing_that_it_acknowledged() {
    let server = Redis::start();
    let client = shared(&server.uri()).await;
    let load = Load::start(&client);
    for _ in 0..3 {
        load.until_more(100);
        server.kill();
        server.start_again();
    }
    load.until_more(100);
    let (figures, lost) = load.lost(&client).await;
    println!("one server, killed three times: {figures}, {lost} lost");
    assert_eq!(lost, 0);
}

#[tokio::test]
async fn a_server_that_is_down_is_told_at_once_and_is_used_again_when_it_is_back() {
    let server = Redis::start();
    let client = Client::open(&server.uri()).await;
    client.add(cart(1), "before").await.unwrap();
    server.stop();
    let error = client.add(cart(1), "meanwhile").await.unwrap_err();
    assert!(matches!(error, StoreError::NotExecuted(_)) && error.to_string().contains(&server.address()), "{error}");
    assert!(RedisMap::<Cart>::open(&node(), &redis(&server.uri())).await.is_err());
    server.start_again();
    client.add(cart(1), "after").await.unwrap();
    assert!(client.has(cart(1), "before").await && !client.has(cart(1), "meanwhile").await);
    // Hanging is worse than dead: the write was sent, and nobody knows.
    server.pause();
    let error = client.carts.cart(cart(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotExecuted(_)), "a read leaves nothing in doubt: {error}");
    server.resume();
    client.add(cart(1), "resumed").await.unwrap();
}

#[tokio::test]
async fn a_replica_is_never_asked_not_even_when_its_master_became_one() {
    let (server, other) = (Redis::with(&[]), Redis::with(&[]));
    let client = Client::open(&server.uri()).await;
    client.add(cart(1), "a").await.unwrap();
    server.told(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    // The connection is the old one: the server does not cut it, and would answer GET.
    let error = client.carts.cart(cart(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotExecuted(_)) && error.to_string().contains("read only replica"), "{error}");
    assert!(matches!(client.add(cart(1), "b").await, Err(StoreError::NotExecuted(_))));
    let error = RedisMap::<Cart>::open(&node(), &redis(&server.uri())).await.unwrap_err();
    assert!(error.to_string().contains("it is a slave"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_when_a_node_starts_and_is_not_shown() {
    let server = Redis::with(&["--requirepass", "s3cret@/"]);
    let uri = |password| redis(&format!("redis://:{password}@{}", server.address()));
    RedisMap::<Cart>::open(&node(), &uri("s3cret%40%2F")).await.unwrap();
    let error = RedisMap::<Cart>::open(&node(), &uri("wr0ng")).await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("auth") && !error.contains("wr0ng"), "{error}");
}

/// Waiting for a replica is what makes an acknowledgement outlive the master; without it, this is what is lost.
#[tokio::test]
async fn what_waiting_for_a_replica_is_good_for() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let master = Redis::with(&durable);
    let follow = format!("127.0.0.1 {}", master.port());
    let replica = Redis::with(&[&durable[..], &["--replicaof", &follow]].concat());
    until("the replica has copied", || replica.info(&["INFO", "replication"], "master_link_status") == "up");
    // Not before its first word back, up to a second later, does the master send it what comes after the copy.
    let heard = || {
        let first = master.info(&["INFO", "replication"], "slave0");
        first.contains("state=online") && !first.contains("offset=0,")
    };
    until("the replica was heard of", heard);
    // What WAIT counts is in the replica's memory. After its first copy it writes a whole new file for its disk; until
    // that is there, its end would lose what it has counted for.
    let persistence = |field| replica.info(&["INFO", "persistence"], field);
    until("the replica's file is there", || {
        persistence("aof_enabled") == "1" && persistence("aof_rewrite_in_progress") == "0"
    });
    let [hasty, patient] = ["", "?wait=1&wait_ms=500"].map(|wait| format!("{}{wait}", master.uri()));
    let [hasty, patient] = [Client::open(&hasty).await, Client::open(&patient).await];
    patient.add(cart(1), "waited").await.unwrap();
    replica.pause();
    hasty.add(cart(1), "not waited").await.unwrap();
    let error = patient.add(cart(1), "waited in vain").await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)) && error.to_string().contains("of 1"), "{error}");
    // Unknown and not "not executed": everybody can see it, for now.
    assert!(hasty.has(cart(1), "waited in vain").await);
    master.kill();
    replica.kill();
    replica.start_again();
    replica.told(&["REPLICAOF", "NO", "ONE"]);
    let after = Client::open(&replica.uri()).await;
    let kept = [after.has(cart(1), "waited").await, after.has(cart(1), "not waited").await];
    assert_eq!((kept, after.has(cart(1), "waited in vain").await), ([true, false], false));
}

/// With `min-replicas-to-write` a master that lost its replicas refuses, before it does anything, to write and to be read.
#[tokio::test]
async fn a_master_that_must_have_replicas_refuses_reads_too() {
    let server = Redis::with(&[]);
    let client = Arc::new(Client::open(&server.uri()).await);
    client.add(cart(1), "a").await.unwrap();
    server.told(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    for error in [client.add(cart(1), "b").await.unwrap_err(), client.carts.cart(cart(1)).await.unwrap_err()] {
        assert!(matches!(error, StoreError::NotExecuted(_)) && error.to_string().contains("NOREPLICAS"), "{error}");
    }
    server.told(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    assert!(client.has(cart(1), "a").await && !client.has(cart(1), "b").await);
}
