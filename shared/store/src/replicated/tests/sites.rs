//! Two sites, as in the talk: each goes on while cut off from the other, and they merge when the link returns.

use std::{sync::Arc, time::Duration};

use contract::{CartId, OpId, Sharing, Sku, cart::Cart};
use tokio::time::{Instant, sleep};

use super::{
    super::{Replicated, compare::COMPARE_EVERY},
    add, assert_equal_copies, cart_id, has, is_clean,
    net::{Net, Running},
    sees, until,
};

const SEATTLE: &str = "seattle";
const LONDON: &str = "london";

async fn two_sites(seed: u64, each: usize, sharing: Sharing) -> (Arc<Net>, Vec<Running>) {
    let net = Net::of(seed, [vec![SEATTLE; each], vec![LONDON; each]].concat(), sharing);
    let nodes = net.start_all().await;
    (net, nodes)
}

async fn change(node: &Replicated<Cart>, cart: CartId, change: impl FnOnce(&mut Cart)) {
    let changed = node.update(cart, |known| {
        let mut cart = known.unwrap_or_default();
        change(&mut cart);
        Ok::<_, ()>((cart, ()))
    });
    changed.await.unwrap().unwrap();
}

fn skus(cart: &Cart) -> Vec<&str> {
    cart.contents().map(|(sku, ..)| sku.as_str()).collect()
}

/// A book is in the cart, the link is cut, on the other side a train set is added and the book removed, the link heals.
#[tokio::test(start_paused = true)]
async fn the_story_of_the_book_and_the_train_set() {
    let (book, train): (Sku, Sku) = ("emma".parse().unwrap(), "night-train".parse().unwrap());
    let cases = [(2, Sharing::Something(3), 10), (4, Sharing::Something(2), 1), (4, Sharing::Nothing, 1)];
    for (each, sharing, seeds) in cases {
        for seed in 0..seeds {
            let (net, nodes) = two_sites(seed, each, sharing).await;
            let (seattle, london) = nodes.split_at(each);
            let cart = cart_id(seed);
            let op = |key: &str| OpId::new(cart, key);
            change(&seattle[0].data, cart, |cart| cart.add(op("book"), &book, 1).unwrap()).await;
            sleep(COMPARE_EVERY * 2).await;
            for running in &nodes {
                let seen = running.data.read(&cart).await.unwrap().unwrap();
                assert_eq!(skus(&seen), ["emma"], "{sharing}, seed {seed}: {}", running.name);
            }
            net.cut(&(0..each).collect::<Vec<_>>());
            change(&london[0].data, cart, |cart| cart.add(op("train"), &train, 1).unwrap()).await;
            let last = &london[each - 1].data;
            change(last, cart, |cart| cart.remove(op("no book"), &book, &[op("book")]).unwrap()).await;
            sleep(Duration::from_secs(20)).await;
            let apart = seattle[1].data.read(&cart).await.unwrap().unwrap();
            assert_eq!(skus(&apart), ["emma"], "the link is cut");
            net.cut(&[]);
            sleep(COMPARE_EVERY * 2).await;
            for running in &nodes {
                let seen = running.data.read(&cart).await.unwrap().unwrap();
                assert_eq!(skus(&seen), ["night-train"], "{sharing}, seed {seed}: {}", running.name);
            }
            assert_equal_copies(nodes.iter());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_never_waits_for_another_site_and_reaches_it_in_batches() {
    let (net, nodes) = two_sites(1, 2, Sharing::Something(3)).await;
    net.cut(&[0, 1]);
    for cart in 0..150 {
        let started = Instant::now();
        add(&nodes[0].data, cart, "piece").await;
        assert!(started.elapsed() < Duration::from_millis(20), "{:?}", started.elapsed());
        assert!(has(&nodes[1].data, cart, "piece"));
    }
    sleep(Duration::from_secs(30)).await;
    let owed: Vec<_> = nodes[0].data.outstanding().into_iter().map(|(_, keys)| keys).collect();
    assert_eq!(owed, [0, 150, 150]);
    assert!(nodes[2..].iter().all(|running| running.data.is_empty()));
    let (sent, compared) = (net.sent(), nodes[2].data.0.rounds.load(std::sync::atomic::Ordering::Relaxed));
    net.cut(&[]);
    until(|| is_clean(&nodes[0])).await;
    assert!(nodes[2..].iter().all(|running| running.data.len() == 150));
    assert!(net.sent() - sent < 150, "{} messages, {compared}", net.sent() - sent);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_no_primary_keeps_nothing_for_a_site_that_is_cut_off() {
    let (net, nodes) = two_sites(2, 4, Sharing::Something(2)).await;
    net.cut(&[0, 1, 2, 3]);
    for cart in 0..200 {
        add(&nodes[usize::try_from(cart % 8).unwrap()].data, cart, "piece").await;
    }
    sleep(Duration::from_secs(5)).await;
    assert!(nodes.iter().all(|running| running.data.hints() == 0));
    net.cut(&[]);
    sleep(COMPARE_EVERY * 2).await;
    assert_eq!(assert_equal_copies(nodes.iter()), 200);
    for cart in 0..200 {
        for running in &nodes {
            assert!(sees(&running.data, cart, "piece").await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_site_whose_nodes_all_died_begins_at_once_and_gets_its_carts_from_the_other() {
    let (net, mut nodes) = two_sites(3, 2, Sharing::Something(3)).await;
    for cart in 0..100 {
        add(&nodes[0].data, cart, "piece").await;
    }
    until(|| is_clean(&nodes[0])).await;
    for dead in nodes.drain(2..) {
        net.kill(&dead);
    }
    let started = Instant::now();
    nodes.push(net.start(2).await);
    assert!(started.elapsed() < Duration::from_secs(1));
    nodes.push(net.start(3).await);
    sleep(COMPARE_EVERY * 2).await;
    assert_eq!(assert_equal_copies(nodes.iter()), 100);
}
