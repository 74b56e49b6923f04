//! Comparing digests, repairing by reads, returning after a long absence.

use std::time::Duration;

use contract::{Sharing, cart::Cart};
use tokio::time::sleep;

use super::{
    super::{Join, Replicated, compare::COMPARE_EVERY, keeper::ROUND},
    add, assert_equal_copies, cart_id, has, is_clean,
    net::{Net, Running},
    sees, sku, until,
};

const HOUR_MS: i64 = 3_600_000;

/// A cart with one piece, put on one node as if all others had missed it.
fn slip_in(node: &Replicated<Cart>, cart: u64, key: &str) {
    let mut known = node.get(&cart_id(cart)).unwrap_or_default();
    known.add(contract::OpId::new(cart_id(cart), key), &sku(), 1).unwrap();
    node.lock().entries.join(&cart_id(cart), &known, 1_700_000_000_000).unwrap();
}

fn listening(net: &std::sync::Arc<Net>, count: usize) -> Vec<Running> {
    (0..count).map(|number| net.listen(number)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_some_primaries_only_have_is_with_all_after_one_round() {
    for (sharing, nodes) in [(Sharing::Everything, 3), (Sharing::Something(3), 5), (Sharing::Something(2), 4)] {
        let net = Net::of(1, vec![""; nodes], sharing);
        let nodes = listening(&net, nodes);
        for cart in 0..200 {
            let holders: Vec<_> = nodes.iter().filter(|running| running.data.lock().is_ours(&cart_id(cart))).collect();
            // As a node does that dies while it sends; and two of them the same cart.
            slip_in(&holders[0].data, cart, "first");
            if cart % 3 == 0 {
                slip_in(&holders[1].data, cart, "second");
            }
        }
        assert!(nodes.iter().all(is_clean), "nobody knows that somebody lacks something");
        for running in &nodes {
            running.data.compare().await;
        }
        assert_eq!(assert_equal_copies(nodes.iter()), 200);
        let sent = net.sent();
        for running in &nodes {
            running.data.compare().await;
        }
        // Equal nodes ask each other one question each.
        assert_eq!(net.sent() - sent, nodes.len() * (nodes.len() - 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_is_bounded_and_the_next_goes_on() {
    let net = Net::new(2, 2);
    let nodes = listening(&net, 2);
    let unchanged = Cart::default();
    for cart in 0..30_000 {
        nodes[0].data.merge(vec![(cart_id(cart), unchanged.clone())]).unwrap();
    }
    nodes[1].data.compare().await;
    let first = nodes[1].data.len();
    assert!((1_000..=20_000).contains(&first), "{first}");
    // What was taken first changes meanwhile: the second round must not begin with it again and never get on.
    for cart in 0..30_000 {
        slip_in(&nodes[0].data, cart, "later");
    }
    let from = nodes[1].data.lock().peers.values().next().unwrap().compare_from;
    assert!(from > 0);
    for _ in 0..4 {
        nodes[1].data.compare().await;
    }
    assert_eq!(assert_equal_copies(nodes.iter()), 30_000);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_finds_differences_repairs_them() {
    let net = Net::of(3, vec![""; 5], Sharing::Something(3));
    let nodes = listening(&net, 5);
    for cart in 0..100 {
        let (ours, others): (Vec<_>, Vec<_>) =
            nodes.iter().partition(|running| running.data.lock().is_ours(&cart_id(cart)));
        slip_in(&ours[0].data, cart, "first");
        slip_in(&ours[1].data, cart, "second");
        assert!(sees(&others[0].data, cart, "first").await && sees(&others[0].data, cart, "second").await);
    }
    // Rounds of repair, not of digests: of the last two rounds' marks nothing is sent yet.
    for _ in 0..3 {
        for running in &nodes {
            running.data.repair().await;
        }
    }
    assert_eq!(assert_equal_copies(nodes.iter()), 100);
    // A read of equal copies asks them and leaves nothing behind.
    for cart in 0..100 {
        let other = nodes.iter().find(|running| !running.data.lock().is_ours(&cart_id(cart))).unwrap();
        assert!(sees(&other.data, cart, "second").await);
        assert_eq!(other.data.hints(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn before_it_says_that_there_is_nothing_a_read_asks_the_suspects_too() {
    let net = Net::of(4, vec![""; 4], Sharing::Nothing);
    let nodes = listening(&net, 4);
    for cart in 0..100 {
        add(&nodes[0].data, cart, "piece").await;
    }
    for cart in 0..100 {
        let other = nodes.iter().find(|running| !running.data.lock().is_ours(&cart_id(cart))).unwrap();
        other.data.lock().peers.values_mut().for_each(|peer| peer.is_suspect = true);
        assert!(sees(&other.data, cart, "piece").await, "a false suspicion lost cart {cart}");
    }
}

#[tokio::test(start_paused = true)]
async fn copies_do_not_keep_old_entries_alive() {
    let net = Net::new(5, 2);
    let nodes = listening(&net, 2);
    slip_in(&nodes[0].data, 1, "piece");
    net.clock.advance_ms(29 * 24 * HOUR_MS);
    nodes[1].data.compare().await;
    assert!(has(&nodes[1].data, 1, "piece"));
    net.clock.advance_ms(2 * 24 * HOUR_MS);
    // One has swept it, the other has not yet.
    nodes[1].data.sweep().await;
    nodes[1].data.compare().await;
    assert!(!has(&nodes[1].data, 1, "piece"));
    nodes[0].data.sweep().await;
    assert!(nodes[0].data.is_empty());
}

/// Stands still for this long, all of these.
async fn stand_still(net: &Net, hours: i64) {
    net.clock.advance_ms(hours * HOUR_MS);
    tokio::time::advance(Duration::from_secs(3)).await;
    sleep(ROUND).await;
}

/// CART-8: the others have forgotten what was dropped in a cart, so an old copy would bring it back.
#[tokio::test(start_paused = true)]
async fn a_node_away_longer_than_the_horizon_forgets_and_copies() {
    for (hours, forgets) in [(23, false), (25, true)] {
        let net = Net::new(6, 3);
        let mut nodes = vec![net.listen(0), net.listen(1)];
        add(&nodes[0].data, 1, "kept").await;
        let away = net.start(2).await;
        slip_in(&away.data, 1, "forgotten by the others");
        slip_in(&away.data, 2, "forgotten by the others");
        // It must not be asked while it does not know how old it is; and a write meanwhile stays.
        (0..2).for_each(|number| net.hang(number, true));
        stand_still(&net, hours).await;
        let asker = contract::replication::Asker { member: nodes[0].name.clone(), view: away.data.lock().ring.view() };
        assert_eq!(away.data.page_for(&asker, &[], None).is_err(), forgets);
        assert_eq!(away.data.digest_for(&asker, &[]).is_err(), forgets);
        let mut meanwhile = Cart::default();
        meanwhile.add(contract::OpId::new(cart_id(3), "meanwhile"), &sku(), 1).unwrap();
        away.data.merge(vec![(cart_id(3), meanwhile)]).unwrap();
        (0..2).for_each(|number| net.hang(number, false));
        until(|| away.node.readiness.is_ready()).await;
        assert!(has(&away.data, 1, "kept") && has(&away.data, 3, "meanwhile"), "{hours} h");
        assert_eq!(has(&away.data, 1, "forgotten by the others"), !forgets, "{hours} h");
        assert_eq!(has(&away.data, 2, "forgotten by the others"), !forgets, "{hours} h");
        nodes.push(away);
        for running in &nodes {
            running.data.compare().await;
        }
        assert_eq!(assert_equal_copies(nodes.iter()), if forgets { 2 } else { 3 });
        assert_eq!(has(&nodes[0].data, 1, "forgotten by the others"), !forgets, "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_were_all_away_keep_what_they_have() {
    let net = Net::new(7, 2);
    let nodes = net.start_all().await;
    add(&nodes[0].data, 1, "piece").await;
    stand_still(&net, 100).await;
    until(|| nodes.iter().all(|running| running.node.readiness.is_ready())).await;
    sleep(COMPARE_EVERY).await;
    assert!(nodes.iter().all(|running| has(&running.data, 1, "piece")));
    assert!(!Cart::default().is_over(0, 100 * HOUR_MS));
}
