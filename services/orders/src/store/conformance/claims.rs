//! Claims: of any number of first requests exactly one wins.

use contract::{
    Fingerprint, OpId, PrincipalId,
    orders::{Find, Found, KeyReused, Open, OpenRefusal, Opened},
};
use tokio::task::JoinSet;

use super::{Case, Pair, complete, declined, once, open, refuse};

/// E1, over two nodes.
pub(super) async fn one_claim_wins(stores: Pair) {
    let case = Case::new();
    let mut claims = JoinSet::new();
    for number in 0..64 {
        let (store, (once, request)) = (stores[number % 2].clone(), case.open());
        claims.spawn(async move { (request.operation, open(&*store, &once, request).await) });
    }
    let mut winners = Vec::new();
    let mut seen = Vec::new();
    while let Some(claim) = claims.join_next().await {
        let (proposed, opened) = claim.expect("no panic");
        match opened.expect("not refused") {
            Opened::Claimed(checkout) => {
                assert_eq!(checkout.operation, proposed);
                winners.push(proposed);
            }
            Opened::Existing(Found::Open { operation }) => seen.push(operation),
            Opened::Existing(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "of 64 first requests exactly one owns the key");
    assert!(seen.len() == 63 && seen.iter().all(|operation| *operation == winners[0]));
}

pub(super) async fn a_lost_claim_reply_is_answered_again([one, two]: Pair) {
    let case = Case::new();
    let (once, request) = case.open();
    let first = open(&*one, &once, request.clone()).await;
    assert_eq!(open(&*two, &once, request).await, first, "E13: sent again, it finds its own row");
    let (once, other) = case.open();
    let Ok(Opened::Claimed(checkout)) = first else { panic!("{first:?}") };
    let existing = Opened::Existing(Found::Open { operation: checkout.operation });
    assert_eq!(open(&*two, &once, other).await, Ok(existing), "another driver's claim is not the winner");
}

pub(super) async fn another_fingerprint_is_refused([store, _]: Pair) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let other = Find { fingerprint: Fingerprint::of(b"other"), ..case.find() };
    assert_eq!(store.find(other.clone()).await.expect("find"), Err(KeyReused::KeyReused));
    let (permit, reused) = case.open();
    let reused = Open { fingerprint: Fingerprint::of(b"other"), ..reused };
    assert_eq!(open(&*store, &permit, reused).await, Err(OpenRefusal::KeyReused));
    complete(&*store, request.operation).await;
    assert_eq!(store.find(other).await.expect("find"), Err(KeyReused::KeyReused));
    let stranger = Find { principal: PrincipalId(case.seams.uuid()), ..case.find() };
    assert_eq!(store.find(stranger).await.expect("find"), Ok(Found::Nothing), "a key is its principal's own");
}

/// IK-15, also when they share one operation of two thousand.
pub(super) async fn two_keys_cannot_buy_one_line([one, two]: Pair) {
    let case = Case::new();
    let (permit, mut request) = case.open();
    request.snapshot.ops = (0..2_000).map(|number| case.op(number)).collect();
    open(&*one, &permit, request.clone()).await.expect("claimed");
    for shared in [0, 700, 1_999] {
        let (_, mut rival) = case.open();
        rival.snapshot.ops = vec![OpId::new(case.cart, "only mine"), case.op(shared)];
        let refused = open(&*two, &once("another-request-key"), rival).await;
        assert_eq!(refused, Err(OpenRefusal::CartClaimed { order: request.operation }));
    }
    let (_, mut other) = case.open();
    other.snapshot.ops = vec![OpId::new(case.cart, "only mine")];
    let claimed = open(&*two, &once("another-request-key"), other).await;
    assert!(matches!(claimed, Ok(Opened::Claimed(_))), "a refused claim leaves nothing: {claimed:?}");
    complete(&*one, request.operation).await;
    let (_, rival) = case.open();
    let refused = open(&*two, &once("a-third-request-key"), rival).await;
    assert_eq!(refused, Err(OpenRefusal::CartClaimed { order: request.operation }), "bought lines stay bought");
}

/// Each names the same lines in another order, so claims that took them as they come would wait for each other in circles.
pub(super) async fn rivals_for_overlapping_carts_do_not_block_each_other(stores: Pair) {
    let case = Case::new();
    for round in 0..8 {
        let mut rivals = JoinSet::new();
        for number in 0..16 {
            let (store, (_, mut request)) = (stores[number % 2].clone(), case.open());
            request.snapshot.ops = (0..40).map(|op| case.op(op)).collect();
            request.snapshot.ops.rotate_left(number * 5 % 40);
            let once = once(&format!("request-key-{round}-{number}"));
            rivals.spawn(async move { (request.operation, open(&*store, &once, request).await) });
        }
        let (mut winner, mut refused) = (None, Vec::new());
        while let Some(rival) = rivals.join_next().await {
            match rival.expect("no panic") {
                (operation, Ok(Opened::Claimed(_))) => {
                    assert_eq!(winner.replace(operation), None, "two bought one line")
                }
                (_, Err(OpenRefusal::CartClaimed { order })) => refused.push(order),
                other => panic!("{other:?}"),
            }
        }
        let winner = winner.expect("one of them wins");
        assert!(refused.len() == 15 && refused.iter().all(|order| *order == winner));
        refuse(&*stores[0], winner, declined()).await;
    }
}
