//! Sentinel and Cluster: a master dies or hangs under load.

use testkit::redis::{Cluster, SentinelSet};

use super::{Client, cart, load::Load, shared};

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_failover_loses_nothing_that_a_replica_had_acknowledged() {
    let set = SentinelSet::start(2);
    let client = shared(&format!("{}?wait=1", set.uri())).await;
    let load = Load::start(&client);
    load.until_more(200);
    set.servers[0].kill();
    set.until_other_master(0);
    load.until_more(200);
    // Back, it takes itself for the master, until a Sentinel tells it.
    set.servers[0].start_again();
    load.until_more(200);
    let (figures, lost) = load.lost(&client).await;
    println!("Sentinel, master killed, wait=1: {figures}, {lost} lost");
    assert_eq!(lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_is_left_and_not_believed_when_it_is_back() {
    let set = SentinelSet::start(1);
    let patient = Client::open(&format!("{}?wait=1", set.uri())).await;
    patient.add_somehow(cart(1), "before").await;
    let (busy, idle) = (Client::open(&set.uri()).await, Client::open(&set.uri()).await);
    assert!(idle.has(cart(1), "before").await);
    set.servers[0].pause();
    set.until_other_master(0);
    busy.add(cart(1), "meanwhile").await.unwrap();
    assert!(idle.has(cart(1), "meanwhile").await);
    // It takes itself for the master still, and answers, until a Sentinel tells it after some seconds.
    set.servers[0].resume();
    let new = Client::open(&set.uri()).await;
    let mut looks = 0;
    while looks < 50 && set.servers[0].info(&["INFO", "replication"], "role") == "master" {
        for client in [&new, &busy, &idle] {
            assert!(client.has(cart(1), "before").await && client.has(cart(1), "meanwhile").await);
        }
        looks += 1;
    }
    assert!(looks > 0, "it was told at once, so this shows nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_master_is_killed_loses_nothing_that_a_replica_had_acknowledged() {
    let cluster = Cluster::start();
    let client = shared(&format!("{}?wait=1&wait_ms=100", cluster.uri())).await;
    let load = Load::start(&client);
    load.until_more(300);
    cluster.nodes[0].kill();
    cluster.until_master(3);
    // The others serve on; what belongs to the new master is acknowledged again when it has a replica.
    load.until_more(60);
    cluster.nodes[0].start_again();
    cluster.until_well();
    let of_the_dead = (0..).map(cart).find(|cart| cluster.keeps(3, &format!("cart:{}", cart.0))).unwrap();
    client.add_somehow(of_the_dead, "after").await;
    load.until_more(300);
    let (figures, lost) = load.lost(&client).await;
    println!("Cluster, one master of three killed, wait=1: {figures}, {lost} lost");
    assert_eq!(lost, 0);
}
