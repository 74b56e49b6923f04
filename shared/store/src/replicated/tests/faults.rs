//! One fault at a time.

use std::time::Duration;

use contract::{PrincipalId, cart::Cart, session::Session};
use tokio::time::{Instant, sleep};

use super::super::{ACK_WITHIN, Join, Replicated, keeper::ROUND, state::OUTSTANDING_MAX};
use super::{add, cart_id, has, is_clean, net::Net, net::Running, until};

#[tokio::test(start_paused = true)]
async fn an_acknowledged_write_is_on_all_nodes() {
    let net = Net::new(1, 3);
    let nodes: Vec<_> = (0..3).map(|number| net.listen(number)).collect();
    add(&nodes[1].data, 1, "request").await;
    assert!(nodes.iter().all(|running| has(&running.data, 1, "request")));
    assert!(nodes.iter().all(is_clean));
}

#[tokio::test(start_paused = true)]
async fn a_write_alone_among_the_dead_is_acknowledged_at_once_and_copied_by_those_who_come_back() {
    let net = Net::new(1, 3);
    let first = net.listen(0);
    let started = Instant::now();
    add(&first.data, 1, "request").await;
    assert!(started.elapsed() < ACK_WITHIN);
    let second = net.listen(1);
    second.data.start(&second.node);
    until(|| second.node.readiness.is_ready()).await;
    assert!(has(&second.data, 1, "request"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lives_but_refused_is_copied_as_soon_as_it_answers() {
    let net = Net::new(1, 2);
    let first = net.listen(0);
    add(&first.data, 1, "request").await;
    net.deafen(0, true);
    let second = net.listen(1);
    second.data.start(&second.node);
    until(|| second.node.readiness.is_ready()).await;
    assert_eq!((has(&second.data, 1, "request"), second.data.missed()), (false, 1));
    net.deafen(0, false);
    until(|| second.data.missed() == 0).await;
    assert!(has(&second.data, 1, "request"));
}

#[tokio::test(start_paused = true)]
async fn a_hung_peer_is_waited_for_once_and_repaired_afterwards() {
    let net = Net::new(1, 3);
    let nodes: Vec<_> = (0..3).map(|number| net.listen(number)).collect();
    nodes[0].data.start(&nodes[0].node);
    net.hang(2, true);
    let started = Instant::now();
    add(&nodes[0].data, 1, "first").await;
    assert!((ACK_WITHIN..ACK_WITHIN + Duration::from_millis(20)).contains(&started.elapsed()));
    for number in 0..50 {
        let started = Instant::now();
        add(&nodes[0].data, number, "later").await;
        assert!(started.elapsed() < Duration::from_millis(20), "write {number} waited {:?}", started.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    assert!(has(&nodes[1].data, 49, "later") && !has(&nodes[2].data, 49, "later"));
    net.hang(2, false);
    until(|| is_clean(&nodes[0])).await;
    assert!(has(&nodes[2].data, 1, "first"));
    assert!((0..50).all(|number| has(&nodes[2].data, number, "later")));
    // It is waited for again.
    add(&nodes[0].data, 1, "last").await;
    assert!(has(&nodes[2].data, 1, "last"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_suspected_falsely_has_all_it_was_not_sent_within_a_round() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    nodes[0].data.start(&nodes[0].node);
    net.hang(1, true);
    add(&nodes[0].data, 1, "waits in vain").await;
    net.hang(1, false);
    // Acknowledged though it is on this node only, and younger than what a round repairs otherwise.
    add(&nodes[0].data, 2, "not sent").await;
    assert_eq!((nodes[0].data.suspects(), has(&nodes[1].data, 2, "not sent")), (1, false));
    sleep(ROUND + Duration::from_millis(20)).await;
    assert_eq!(nodes[0].data.suspects(), 0);
    assert!(has(&nodes[1].data, 1, "waits in vain") && has(&nodes[1].data, 2, "not sent"));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_sent_again_although_it_changes_nothing() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    add(&nodes[0].data, 1, "request").await;
    let sent = net.sent();
    add(&nodes[0].data, 1, "request").await;
    assert_eq!(net.sent(), sent + 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_caller_hung_up_reaches_the_peers_all_the_same() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    nodes[0].data.start(&nodes[0].node);
    net.hang(1, true);
    tokio::select! {
        () = add(&nodes[0].data, 1, "request") => panic!("the peer hangs"),
        () = sleep(Duration::from_millis(10)) => {}
    }
    net.hang(1, false);
    until(|| is_clean(&nodes[0])).await;
    assert!(has(&nodes[1].data, 1, "request"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_copies_is_not_suspect() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    net.hang(1, true);
    add(&nodes[0].data, 1, "first").await;
    net.hang(1, false);
    // No repair runs here: without the first page's sign this write would not be sent.
    nodes[1].data.refill().await;
    add(&nodes[0].data, 2, "second").await;
    assert!(has(&nodes[1].data, 1, "first") && has(&nodes[1].data, 2, "second"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_delays_readiness_but_does_not_prevent_it() {
    let net = Net::new(1, 3);
    let nodes: Vec<_> = (0..3).map(|number| net.listen(number)).collect();
    add(&nodes[0].data, 1, "request").await;
    net.kill(&nodes[1]);
    net.hang(2, true);
    let (again, started) = (net.listen(1), Instant::now());
    again.data.start(&again.node);
    sleep(Duration::from_secs(5)).await;
    assert!(!again.node.readiness.is_ready());
    until(|| again.node.readiness.is_ready()).await;
    assert!(started.elapsed() < Duration::from_secs(13));
    assert!(has(&again.data, 1, "request"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stood_still_copies_again_before_it_is_ready() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    nodes[0].data.start(&nodes[0].node);
    until(|| nodes[0].node.readiness.is_ready()).await;
    // While it copies it is not ready: hold the copy up to see that.
    net.hang(1, true);
    nodes[1].data.merge(vec![(cart_id(1), Cart::default())]).unwrap();
    sleep(Duration::from_secs(10)).await;
    assert!(nodes[0].node.readiness.is_ready(), "only standing still makes it copy");
    tokio::time::advance(Duration::from_secs(3)).await;
    sleep(ROUND).await;
    assert!(!nodes[0].node.readiness.is_ready());
    net.hang(1, false);
    until(|| nodes[0].node.readiness.is_ready()).await;
    assert_eq!(nodes[0].data.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_outstanding_keys_are_left_to_the_digests() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    net.hang(1, true);
    let count = u64::try_from(OUTSTANDING_MAX).unwrap() + 10;
    let unchanged = |known: Option<Cart>| Ok::<_, ()>((known.unwrap_or_default(), ()));
    for number in 0..count {
        nodes[0].data.update(cart_id(number), unchanged).await.unwrap().unwrap();
    }
    assert_eq!(nodes[0].data.outstanding()[0].1, OUTSTANDING_MAX);
    net.hang(1, false);
    nodes[0].data.start(&nodes[0].node);
    until(|| is_clean(&nodes[0])).await;
    assert_eq!(nodes[1].data.len(), OUTSTANDING_MAX);
    nodes[1].data.compare().await;
    assert_eq!(nodes[1].data.len(), nodes[0].data.len());
}

#[tokio::test(start_paused = true)]
async fn a_full_node_refuses_new_keys_only_and_says_so() {
    let net = Net::new(1, 1);
    let running = net.listen_with(0, 2);
    add(&running.data, 1, "a").await;
    add(&running.data, 2, "a").await;
    add(&running.data, 2, "b").await;
    let refused = running.data.update(cart_id(3), |_| Ok::<_, ()>((Cart::default(), ()))).await;
    assert!(matches!(refused, Err(crate::StoreError::NotExecuted(reason)) if reason.contains("full")));
    let sent = running.data.merge(vec![(cart_id(3), Cart::default()), (cart_id(1), Cart::default())]);
    assert!(sent.is_err());
    assert_eq!(running.data.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pages_are_bounded_and_cover_everything_once() {
    let net = Net::new(1, 1);
    let running = net.listen(0);
    for number in 0..250 {
        add(&running.data, number, "a").await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = running.data.page(after.as_ref());
        assert!(page.len() <= Cart::BATCH_MAX);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(seen.len(), 250);
    seen.sort_unstable();
    assert_eq!(seen, (0..250).map(cart_id).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_swept_and_what_is_not_stays() {
    let day_ms = 24 * 3_600_000;
    let net = Net::new(1, 1);
    let running = net.listen(0);
    add(&running.data, 1, "old").await;
    net.clock.advance_ms(20 * day_ms);
    add(&running.data, 2, "new").await;
    net.clock.advance_ms(11 * day_ms);
    running.data.sweep().await;
    assert!(!has(&running.data, 1, "old") && has(&running.data, 2, "new"));

    let session =
        Session { principal: PrincipalId(uuid::Uuid::nil()), account: None, expires_at_ms: day_ms, revoked: true };
    assert!(!session.is_over(0, day_ms));
    assert!(session.is_over(0, 2 * day_ms));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_changes_and_sends_nothing() {
    let net = Net::new(1, 2);
    let nodes: Vec<Running> = (0..2).map(|number| net.listen(number)).collect();
    let data: &Replicated<Cart> = &nodes[0].data;
    let refused = data.update(cart_id(1), |_| Err::<(Cart, ()), _>("no")).await.unwrap();
    assert_eq!(refused, Err("no"));
    assert_eq!((data.len(), net.sent()), (0, 0));
}
