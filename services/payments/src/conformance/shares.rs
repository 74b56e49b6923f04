//! The shares of the permits. Leases are short here and given back by time, so the suite waits for the database's clock.

use std::{sync::Arc, time::Duration};

use store::StoreError;
use tokio::task::JoinSet;

use crate::store::{Ask, Leased, PaymentStore};

const LEASE_MS: i64 = 60_000;

pub(super) async fn suite(make: &impl AsyncFn() -> Arc<dyn PaymentStore>) {
    shares_are_laid_out_taken_and_given_back(&*make().await).await;
    nobody_takes_the_part_of_another_that_wants_it(&*make().await).await;
    what_arrives_late_changes_nothing(&*make().await).await;
    a_lapsed_share_waits_for_the_provider(&*make().await).await;
    another_number_waits_for_the_old_leases(&*make().await).await;
    nodes_that_start_together_share(make().await).await;
}

fn ask(holder: &str, round: i64, wants: i64) -> Ask {
    let (holder, back) = (holder.to_owned(), Vec::new());
    Ask { holder, round, permits: 23, wants, back, lease_ms: LEASE_MS, handling_ms: LEASE_MS }
}

fn numbers(leased: &Leased) -> Vec<i64> {
    leased.shares.iter().map(|(share, _)| *share).collect()
}

async fn shares_are_laid_out_taken_and_given_back(store: &dyn PaymentStore) {
    let all = store.lease(&ask("a", 1, 99)).await.unwrap();
    assert_eq!(all.shares, [(1, 5), (2, 5), (3, 5), (4, 5), (5, 3)], "23 permits");
    assert_eq!((all.keep, all.other_total), (5, false));
    let less = store.lease(&Ask { back: vec![2, 4], ..ask("a", 2, 3) }).await.unwrap();
    assert_eq!(numbers(&less), [1, 3, 5]);
    let other = store.lease(&Ask { back: vec![1], ..ask("b", 1, 9) }).await.unwrap();
    assert_eq!(numbers(&other), [2, 4], "what is free, and nobody gives back another's");
    assert_eq!(numbers(&store.lease(&ask("a", 3, 1)).await.unwrap()), [1, 3, 5], "held until it is given back");
}

async fn nobody_takes_the_part_of_another_that_wants_it(store: &dyn PaymentStore) {
    assert_eq!(numbers(&store.lease(&ask("a", 1, 9)).await.unwrap()).len(), 5);
    assert_eq!(numbers(&store.lease(&ask("b", 1, 9)).await.unwrap()).len(), 0);
    let told = store.lease(&ask("a", 2, 9)).await.unwrap();
    assert_eq!((numbers(&told).len(), told.keep), (5, 3), "two are owed to b, whose part is two");
    let kept = store.lease(&Ask { back: vec![4, 5], ..ask("a", 3, 9) }).await.unwrap();
    assert_eq!(numbers(&kept), [1, 2, 3], "what it gave back for b it does not take again");
    assert_eq!(numbers(&store.lease(&ask("b", 2, 9)).await.unwrap()), [4, 5]);
    let told = store.lease(&ask("a", 4, 9)).await.unwrap();
    assert_eq!((numbers(&told), told.keep), (vec![1, 2, 3], 3), "now b has its part");
}

async fn what_arrives_late_changes_nothing(store: &dyn PaymentStore) {
    store.lease(&ask("a", 1, 2)).await.unwrap();
    assert_eq!(numbers(&store.lease(&ask("a", 3, 2)).await.unwrap()), [1, 2]);
    for round in [2, 3] {
        let late = store.lease(&Ask { back: vec![1], ..ask("a", round, 0) }).await;
        assert!(matches!(late, Err(StoreError::NotExecuted(_))), "{late:?}");
    }
    assert_eq!(numbers(&store.lease(&ask("b", 1, 5)).await.unwrap()), [3, 4, 5], "share 1 is still a's");
}

async fn a_lapsed_share_waits_for_the_provider(store: &dyn PaymentStore) {
    // The shortest that a test can tell apart on a busy machine: 1 ms of lease, and then the provider's time.
    let handling_ms = 700;
    let begun_ms = store.now_ms().await.unwrap();
    store.lease(&Ask { lease_ms: 1, handling_ms, ..ask("dead", 1, 9) }).await.unwrap();
    let (mut round, mut leased) = (1, 0);
    // Taken one after the other, the shares lapse one after the other: some milliseconds may lie between them.
    while leased < 5 {
        let before_ms = store.now_ms().await.unwrap();
        let now = numbers(&store.lease(&ask("a", round, 9)).await.unwrap()).len();
        assert!(now >= leased, "shares that were leased again are gone");
        if now > leased {
            let after_ms = store.now_ms().await.unwrap();
            assert!(
                after_ms > begun_ms + 1 + handling_ms,
                "leased again {} ms too early",
                begun_ms + 1 + handling_ms - before_ms
            );
        }
        leased = now;
        round += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(round > 2, "leased again at once");
    let back = store.lease(&Ask { lease_ms: 1, handling_ms, ..ask("dead", 2, 9) }).await.unwrap();
    assert_eq!(back.shares, [], "it has lost them");
}

async fn another_number_waits_for_the_old_leases(store: &dyn PaymentStore) {
    store.lease(&ask("a", 1, 1)).await.unwrap();
    let other = store.lease(&Ask { permits: 7, ..ask("b", 1, 9) }).await.unwrap();
    assert_eq!((other.shares.len(), other.other_total), (0, true));
    store.lease(&Ask { back: vec![1], ..ask("a", 2, 0) }).await.unwrap();
    let now = store.lease(&Ask { permits: 7, ..ask("b", 2, 9) }).await.unwrap();
    assert_eq!((now.shares, now.other_total), (vec![(1, 5), (2, 2)], false));
}

async fn nodes_that_start_together_share(store: Arc<dyn PaymentStore>) {
    let mut starting = JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        starting.spawn(async move { store.lease(&ask(&format!("node-{n}"), 1, 2)).await.unwrap() });
    }
    let leased = starting.join_all().await;
    let mut all: Vec<_> = leased.iter().flat_map(numbers).collect();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3, 4, 5], "each share once");
}
