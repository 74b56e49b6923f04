//! What each strategy keeps and loses, and how entries find their places.

use std::time::Duration;

use contract::{
    CallError, Sharing,
    cart::Cart,
    replication::{Asker, OtherView},
};
use tokio::time::{Instant, sleep};

use super::{
    super::{ACK_WITHIN, Join},
    add, assert_equal_copies, cart_id, has, is_clean,
    net::{Net, Running},
    sees, until,
};

const KEYS: u64 = 300;

/// Adds a piece to each of many carts, each on some node.
async fn fill(net: &Net, nodes: &[Running]) {
    for cart in 0..KEYS {
        let pick = usize::try_from(net.seams.below(nodes.len() as u64)).unwrap();
        add(&nodes[pick].data, cart, "piece").await;
    }
}

/// How many nodes have a copy.
fn copies(nodes: &[Running], cart: u64) -> usize {
    nodes.iter().filter(|running| has(&running.data, cart, "piece")).count()
}

/// Printed as a table:
/// `cargo nextest run -p store -E 'test(each_strategy_loses_exactly)' --success-output immediate`
#[tokio::test(start_paused = true)]
async fn each_strategy_loses_exactly_what_only_the_dead_held() {
    println!("| strategy | killed of 5 | acknowledged | lost |\n| --- | ---: | ---: | ---: |");
    for sharing in [Sharing::Nothing, Sharing::Something(2), Sharing::Something(3), Sharing::Everything] {
        for killed in 1..=4 {
            let net = Net::of(killed as u64, vec![""; 5], sharing);
            let mut nodes = net.start_all().await;
            fill(&net, &nodes).await;
            let alone: Vec<u64> = (0..KEYS)
                .filter(|cart| {
                    let state = nodes[0].data.lock();
                    let mut primaries = state.ring.primaries(Cart::vnode(&cart_id(*cart)));
                    primaries.all(|primary| primary < killed)
                })
                .collect();
            for dead in nodes.drain(..killed) {
                net.kill(&dead);
            }
            // Whoever is asked, and at once.
            let mut lost = Vec::new();
            for cart in 0..KEYS {
                let pick = usize::try_from(net.seams.below(nodes.len() as u64)).unwrap();
                if !sees(&nodes[pick].data, cart, "piece").await {
                    lost.push(cart);
                }
            }
            println!("| {sharing} | {killed} | {KEYS} | {} |", lost.len());
            assert_eq!(lost, alone, "{sharing}, {killed} killed");
            assert_eq!(lost.is_empty(), killed < sharing.copies(5), "{sharing}, {killed} killed");
            // No error loop: what is lost begins anew.
            for cart in lost {
                add(&nodes[0].data, cart, "again").await;
                assert!(sees(nodes.last().map(|running| &running.data).unwrap(), cart, "again").await);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_lies_with_its_primaries_and_any_node_serves_it() {
    for (sharing, held) in [(Sharing::Nothing, 1), (Sharing::Something(3), 3), (Sharing::Everything, 5)] {
        let net = Net::of(1, vec![""; 5], sharing);
        let nodes = net.start_all().await;
        fill(&net, &nodes).await;
        for cart in 0..KEYS {
            assert_eq!(copies(&nodes, cart), held, "{sharing}: {cart}");
            for running in &nodes {
                assert!(sees(&running.data, cart, "piece").await, "{sharing}: {cart} at {}", running.name);
            }
        }
        assert_eq!(assert_equal_copies(nodes.iter()) as u64, KEYS);
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_more_nodes_than_copies_a_write_is_one_message_to_each_and_a_read_none() {
    let net = Net::of(1, vec![""; 2], Sharing::Something(3));
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    for cart in 0..50 {
        let sent = net.sent();
        add(&nodes[0].data, cart, "piece").await;
        assert_eq!(net.sent(), sent + 1);
        assert!(sees(&nodes[1].data, cart, "piece").await && sees(&nodes[0].data, cart, "piece").await);
        assert_eq!(net.sent(), sent + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn others_stand_in_for_a_dead_primary_and_give_back_what_they_kept() {
    for sharing in [Sharing::Nothing, Sharing::Something(2), Sharing::Something(3)] {
        let net = Net::of(2, vec![""; 5], sharing);
        let mut nodes = net.start_all().await;
        let dead = nodes.remove(0);
        net.kill(&dead);
        fill(&net, &nodes).await;
        for cart in 0..KEYS {
            assert!(copies(&nodes, cart) >= sharing.copies(5), "{sharing}: {cart} is on {}", copies(&nodes, cart));
        }
        assert!(nodes.iter().any(|running| running.data.hints() > 0));
        nodes.insert(0, net.start(0).await);
        until(|| nodes.iter().all(|running| running.data.hints() == 0)).await;
        assert_eq!(assert_equal_copies(nodes.iter()) as u64, KEYS);
        assert!(nodes[0].data.len() > 20);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_primary_costs_one_write_and_one_read_their_patience() {
    let net = Net::of(3, vec![""; 5], Sharing::Something(2));
    let nodes = net.start_all().await;
    fill(&net, &nodes).await;
    net.hang(4, true);
    let (mut slow, asked) = (0, &nodes[0].data);
    for cart in 0..KEYS {
        let started = Instant::now();
        assert!(sees(asked, cart, "piece").await);
        add(asked, cart, "more").await;
        slow += usize::from(started.elapsed() >= ACK_WITHIN);
    }
    // It is trusted again each time it asks for digests itself: every 2 s, of the 8 that this takes.
    assert!((1..=6).contains(&slow), "{slow} of {KEYS} waited");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_hands_over_what_it_holds_and_takes_no_more() {
    for sharing in [Sharing::Nothing, Sharing::Something(2), Sharing::Everything] {
        let net = Net::of(4, vec![""; 5], sharing);
        let mut nodes = net.start_all().await;
        fill(&net, &nodes).await;
        for _ in 0..3 {
            let gone = nodes.remove(0);
            assert_eq!(gone.data.leave().await, 0);
            assert!(gone.data.merge(vec![(cart_id(1), Cart::default())]).unwrap_err().to_string().contains("leaving"));
            // A request that was on its way is served, and does not count the one that leaves.
            add(&gone.data, KEYS, &gone.name).await;
            net.kill(&gone);
            for running in &nodes {
                for cart in 0..KEYS {
                    assert!(sees(&running.data, cart, "piece").await, "{sharing}: {cart} after {}", gone.name);
                }
                assert!(sees(&running.data, KEYS, &gone.name).await, "{sharing}: {}", gone.name);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_alone_or_among_the_silent_says_so_and_does_not_wait_long() {
    let net = Net::of(5, vec![""; 3], Sharing::Nothing);
    let nodes = net.start_all().await;
    fill(&net, &nodes).await;
    let held = nodes[0].data.len();
    assert!(held > 0);
    (1..3).for_each(|number| net.hang(number, true));
    let started = Instant::now();
    assert_eq!(nodes[0].data.leave().await, held);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_joins_has_its_share_before_it_serves_and_the_others_let_it_go() {
    for sharing in [Sharing::Nothing, Sharing::Something(2)] {
        let net = Net::of(6, vec![""; 5], sharing);
        net.set_members(4, &[0, 1, 2, 3]);
        let mut nodes = Vec::new();
        for number in 0..4 {
            nodes.push(net.start(number).await);
        }
        fill(&net, &nodes).await;
        let before = assert_equal_copies(nodes.iter());
        // The new one knows first; the others learn while it asks them.
        net.set_members(5, &[4]);
        let joining = net.listen(4);
        joining.data.start(&joining.node);
        sleep(Duration::from_millis(500)).await;
        assert!(!joining.node.readiness.is_ready(), "the others place by other members");
        net.set_members(5, &[0, 1, 2, 3, 4]);
        until(|| joining.node.readiness.is_ready()).await;
        let share = (0..KEYS).filter(|cart| joining.data.lock().is_ours(&cart_id(*cart))).count();
        assert!(share > 20 && joining.data.len() >= share, "{share}");
        nodes.push(joining);
        for cart in 0..KEYS {
            for running in &nodes {
                assert!(sees(&running.data, cart, "piece").await);
            }
        }
        until(|| nodes.iter().all(|running| running.data.hints() == 0)).await;
        assert_eq!(assert_equal_copies(nodes.iter()), before);
    }
}

#[tokio::test(start_paused = true)]
async fn who_knows_other_members_is_told_so_and_finds_out() {
    let net = Net::of(7, vec![""; 4], Sharing::Nothing);
    let nodes: Vec<_> = (0..4).map(|number| net.listen(number)).collect();
    fill(&net, &nodes).await;
    let view = nodes[0].data.lock().ring.view();
    let stranger = Asker { member: nodes[1].name.clone(), view: view + 1 };
    let told = Err(CallError::Refused(OtherView { view }));
    assert_eq!(nodes[0].data.copy_of(&stranger, &cart_id(1)), told);
    assert_eq!(nodes[0].data.page_for(&stranger, &[], None), Err(CallError::Refused(OtherView { view })));
    assert_eq!(nodes[0].data.digest_for(&stranger, &[]), Err(CallError::Refused(OtherView { view })));
    // The first looks at the list later than the others. It does not say that a cart is empty because those whom it takes
    // for its holders are asked by a view that is not theirs; it looks again.
    net.set_members(3, &[1, 2]);
    let is_there = |cart: &u64| nodes[1..3].iter().any(|running| has(&running.data, *cart, "piece"));
    let carts: Vec<u64> = (0..KEYS).filter(is_there).collect();
    for running in &nodes[1..3] {
        running.data.repair().await;
    }
    assert!(carts.len() > 100 && nodes[0].data.lock().peers.len() == 3);
    for cart in carts {
        assert!(sees(&nodes[0].data, cart, "piece").await);
    }
    assert_eq!(nodes[0].data.lock().peers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hung_up_on_a_node_that_is_no_holder_still_has_its_write() {
    let net = Net::of(8, vec![""; 3], Sharing::Nothing);
    let nodes = net.start_all().await;
    for cart in (0..100).filter(|cart| !nodes[0].data.lock().is_ours(&cart_id(*cart))) {
        let holder = nodes.iter().find(|running| running.data.lock().is_ours(&cart_id(cart))).unwrap();
        let sending = async {
            while !has(&nodes[0].data, cart, "piece") {
                net.pause(1).await;
            }
        };
        tokio::select! {
            () = add(&nodes[0].data, cart, "piece") => continue,
            () = sending => {}
        }
        // The network was quicker than the caller who hung up: the next cart tries.
        if has(&holder.data, cart, "piece") {
            continue;
        }
        until(|| is_clean(&nodes[0]) && nodes[0].data.hints() == 0).await;
        assert!(has(&holder.data, cart, "piece") && !has(&nodes[0].data, cart, "piece"));
        return;
    }
    panic!("no caller hung up in time");
}
