//! Random histories: what was acknowledged is never lost.

use std::{cell::RefCell, rc::Rc};

use futures_util::future::join_all;

use super::{add, has, net::Net, net::Running};

const SEEDS: u64 = 200;
const CLIENTS: u64 = 4;
const CARTS: u64 = 12;

/// The nodes that take work, and what they acknowledged.
#[derive(Default)]
struct Shop {
    ready: Vec<Rc<Running>>,
    acknowledged: Vec<(u64, String)>,
    closed: bool,
}

async fn client(net: &Net, shop: &RefCell<Shop>, number: u64) {
    for step in 0.. {
        net.pause(8).await;
        let node = {
            let shop = shop.borrow();
            if shop.closed {
                return;
            }
            let pick = usize::try_from(net.seams.below(shop.ready.len() as u64)).unwrap();
            shop.ready[pick].clone()
        };
        let (cart, key) = (net.seams.below(CARTS), format!("client-{number}-step-{step}"));
        tokio::select! {
            () = add(&node.data, cart, &key) => shop.borrow_mut().acknowledged.push((cart, key)),
            // The node died under the call: whether it is kept is nobody's promise.
            () = node.node.tasks.stopping() => {}
        }
    }
}

/// Kills and restarts one node after the other, each as soon as the one before is ready again.
async fn chaos(net: &std::sync::Arc<Net>, shop: &RefCell<Shop>) {
    for _ in 0..8 {
        net.pause(30).await;
        let pick = usize::try_from(net.seams.below(net.names.len() as u64)).unwrap();
        let victim = {
            let mut shop = shop.borrow_mut();
            let index = shop.ready.iter().position(|running| running.name == net.names[pick]).unwrap();
            shop.ready.swap_remove(index)
        };
        net.kill(&victim);
        net.pause(60).await;
        let running = net.listen(pick);
        running.data.start(&running.node);
        while !running.node.readiness.is_ready() {
            net.pause(2).await;
        }
        shop.borrow_mut().ready.push(Rc::new(running));
    }
    shop.borrow_mut().closed = true;
}

#[test]
fn no_acknowledged_add_is_lost_while_nodes_die_one_at_a_time() {
    let mut acknowledged = 0;
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let net = Net::new(seed, 3);
            let shop = RefCell::new(Shop::default());
            for number in 0..3 {
                let running = net.listen(number);
                running.data.start(&running.node);
                shop.borrow_mut().ready.push(Rc::new(running));
            }
            tokio::join!(chaos(&net, &shop), join_all((0..CLIENTS).map(|number| client(&net, &shop, number))));
            let shop = shop.borrow();
            acknowledged += shop.acknowledged.len();
            // At once, without waiting for any repair: an acknowledged write is on all live nodes.
            for (cart, key) in &shop.acknowledged {
                for running in &shop.ready {
                    assert!(has(&running.data, *cart, key), "seed {seed}: {} lost {key}", running.name);
                }
            }
        });
    }
    assert!(acknowledged > 20_000, "the histories are too short to mean much: {acknowledged} adds");
}

#[test]
fn a_network_that_loses_repeats_reorders_and_hangs_ends_in_equal_nodes() {
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let net = Net::new(seed, 3);
            let nodes: Vec<Running> = (0..3).map(|number| net.listen(number)).collect();
            for running in &nodes {
                running.data.start(&running.node);
            }
            net.lose(100);
            let writes = (0..60).map(async |number: u64| {
                net.pause(2_000).await;
                let pick = usize::try_from(net.seams.below(3)).unwrap();
                if number.is_multiple_of(10) {
                    net.hang(pick, net.seams.below(2) == 0);
                }
                add(&nodes[pick].data, net.seams.below(CARTS), &format!("write-{number}")).await;
                net.deliver_late();
            });
            join_all(writes).await;
            net.lose(0);
            (0..3).for_each(|number| net.hang(number, false));
            let mut rounds = 0;
            while nodes.iter().any(|running| running.data.outstanding().iter().any(|(_, keys)| *keys > 0)) {
                rounds += 1;
                assert!(rounds < 20, "seed {seed}: {:?}", nodes[0].data.outstanding());
                tokio::time::sleep(super::super::keeper::ROUND).await;
            }
            net.deliver_late();
            let first = nodes[0].data.page(None);
            let pieces: u32 = first.iter().map(|(_, cart)| cart.quantity(&super::sku())).sum();
            assert_eq!(pieces, 60, "seed {seed}");
            assert!(nodes.iter().all(|running| running.data.page(None) == first), "seed {seed}");
        });
    }
}
