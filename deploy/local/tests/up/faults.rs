//! Nodes that are killed and paused.

use rustix::process::Signal;
use tokio::time::Instant;

use crate::harness::{PATIENCE, Shop, send, until};

#[test]
fn a_killed_node_comes_back_at_the_same_address() {
    let shop = Shop::start();
    for id in ["frontend-1", "logic-2", "sessions-1", "carts-1", "catalogue-1", "orders-2", "payments-1", "provider-1"]
    {
        let before = shop.node(id);
        let (ok, said) = shop.ask(&["kill", id]);
        assert!(ok && said.contains(&format!("{id} is killed")), "{said}");
        shop.until_state(id, "ready");
        let after = shop.node(id);
        assert_ne!(before["pid"], after["pid"]);
        for kept in ["family", "id", "address", "ops_address", "site"] {
            assert_eq!(before[kept], after[kept]);
        }
    }
}

#[test]
fn ten_kills_in_a_row_are_tolerated_and_a_node_that_keeps_ending_ends_the_shop() {
    let mut shop = Shop::start();
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < PATIENCE && shop.child.try_wait().unwrap().is_none() {
        // The commands fail once the supervisor is gone, and between an end and the next start.
        let ready =
            shop.ask(&["status"]).1.lines().any(|line| line.starts_with("logic-1 ") && line.contains(" ready "));
        if ready && shop.ask(&["kill", "logic-1"]).0 {
            kills += 1;
        }
    }
    assert_eq!(shop.wait().code(), Some(1), "{}", shop.said());
    assert!(kills > 10, "{kills}");
    assert!(shop.said().contains("logic-1 ended more than 10 times within 10 s"), "{}", shop.said());
}

#[test]
fn a_paused_node_says_so_whoever_paused_it() {
    let shop = Shop::start();
    assert!(shop.ask(&["pause", "orders-1"]).0);
    assert_eq!(shop.state("orders-1"), "paused");
    let (ok, said) = shop.ask(&["pause", "orders-1"]);
    assert!(!ok && said.contains("orders-1 is paused already"), "{said}");
    assert!(shop.ask(&["resume", "orders-1"]).0);
    shop.until_state("orders-1", "ready");
    let (ok, said) = shop.ask(&["resume", "orders-1"]);
    assert!(!ok && said.contains("orders-1 is not paused"), "{said}");

    send(shop.pid("carts-2"), Signal::STOP);
    shop.until_state("carts-2", "paused");
    assert!(shop.ask(&["kill", "carts-2"]).0, "a paused node can be killed");
    shop.until_state("carts-2", "ready");
}

#[test]
fn an_unknown_node_is_answered_with_the_known_ones() {
    let shop = Shop::start();
    let (ok, said) = shop.ask(&["kill", "logic-7"]);
    assert!(!ok && said.contains("no node \"logic-7\"") && said.contains("logic-1, logic-2"), "{said}");
    until("nothing was harmed", || shop.nodes().iter().all(|node| node["restarts"] == 0).then_some(()));
}
