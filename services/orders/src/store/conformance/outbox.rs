//! The outbox: leased, forgotten by exact id, and never held up by one event that cannot be delivered.

use std::collections::BTreeSet;

use contract::{
    EventId, Money,
    orders::{Ack, Action, Attention, AttentionKind, Event, EventKind, Events, Inspect, OrderState, ResolveRefusal},
};
use tokio::task::JoinSet;

use super::{Case, Pair, complete, declined, desk::resolve, refuse};
use crate::store::{ATTEMPTS_MAX, OrderStore};

async fn events(store: &dyn OrderStore, limit: u32) -> Vec<Event> {
    store.events(Events { limit }).await.expect("events")
}

async fn ack(store: &dyn OrderStore, ids: Vec<EventId>) {
    store.ack(Ack { ids }).await.expect("ack");
}

pub(super) async fn events_are_leased([store, other]: Pair) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    complete(&*store, request.operation).await;
    let leased = events(&*store, 100).await;
    let (mut settle, mut clear, mut receipt) = (0, 0, 0);
    for event in &leased {
        assert_eq!(event.operation, request.operation);
        match &event.kind {
            EventKind::SettleStock => settle += 1,
            EventKind::ClearCart { cart, epoch: 0, ops } if *cart == case.cart && *ops == request.snapshot.ops => {
                clear += 1
            }
            EventKind::SendReceipt { principal, order }
                if *principal == case.principal
                    && (order.state, order.total) == (OrderState::Completed, Money::gbp(1998)) =>
            {
                receipt += 1
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((settle, clear, receipt), (1, 1, 1));
    assert!(events(&*other, 100).await.is_empty(), "leased events stay leased");
    let declined_one = Case::new().opened(&*store).await.operation;
    refuse(&*store, declined_one, declined()).await;
    let released = events(&*other, 100).await;
    assert_eq!(released.len(), 1);
    assert_eq!((released[0].operation, &released[0].kind), (declined_one, &EventKind::ReleaseStock));
}

/// CO-24: whichever are acknowledged, the others come again, also those with smaller ids.
pub(super) async fn events_are_forgotten_by_exact_id([store, other]: Pair) {
    for _ in 0..4 {
        complete(&*store, Case::new().opened(&*store).await.operation).await;
    }
    let mut left: BTreeSet<EventId> = events(&*store, 100).await.iter().map(|event| event.id).collect();
    assert_eq!(left.len(), 12);
    let (first, last) = (left.pop_first().expect("one"), left.pop_last().expect("one"));
    ack(&*store, vec![last, first]).await;
    ack(&*other, vec![last]).await;
    ack(&*other, vec![]).await;
    let again: BTreeSet<EventId> = events(&*other, 100).await.iter().map(|event| event.id).collect();
    assert_eq!(again, left, "exactly the acknowledged ones are gone");
}

pub(super) async fn no_event_is_leased_twice(stores: Pair) {
    for _ in 0..10 {
        complete(&*stores[0], Case::new().opened(&*stores[0]).await.operation).await;
    }
    let mut deliverers = JoinSet::new();
    for number in 0..8 {
        let store = stores[number % 2].clone();
        deliverers.spawn(async move {
            let mut all = Vec::new();
            loop {
                let leased = events(&*store, 4).await;
                if leased.is_empty() {
                    return all;
                }
                all.extend(leased.iter().map(|event| event.id));
            }
        });
    }
    let leased = deliverers.join_all().await.concat();
    let different: BTreeSet<_> = leased.iter().collect();
    assert_eq!((leased.len(), different.len()), (30, 30), "each exactly once");
}

/// CO-26.
pub(super) async fn a_poisoned_event_is_shown_to_a_person([store, _]: Pair) {
    let operation = Case::new().opened(&*store).await.operation;
    refuse(&*store, operation, declined()).await;
    let mut poisoned = Vec::new();
    for number in 1..=ATTEMPTS_MAX {
        poisoned = events(&*store, 100).await;
        assert_eq!(poisoned.len(), 1, "try {number}");
    }
    let id = poisoned[0].id;
    let early = resolve(&*store, "a-decision-too-early", id.0, Action::Retry).await;
    assert_eq!(early, Err(ResolveRefusal::WrongState(Some(OrderState::Declined))), "it waits for nobody yet");
    let fresh = Case::new().opened(&*store).await.operation;
    refuse(&*store, fresh, declined()).await;
    let others = events(&*store, 1).await;
    assert_eq!((others.len(), others[0].operation), (1, fresh), "it holds up no other");
    let queue = store.attention(Attention { limit: 10 }).await.expect("attention");
    assert_eq!(queue.len(), 1);
    let item = (queue[0].id, queue[0].kind, queue[0].operation, queue[0].attempts);
    assert_eq!(item, (id.0, AttentionKind::Event, Some(operation), ATTEMPTS_MAX));
    assert!(queue[0].reason.contains("release_stock"), "{}", queue[0].reason);
    assert!(events(&*store, 100).await.iter().all(|event| event.id != id), "it is tried no more");

    let wrong = resolve(&*store, "a-decision-that-is-wrong", id.0, Action::NotCharged).await;
    assert_eq!(wrong, Err(ResolveRefusal::WrongState(Some(OrderState::Declined))));
    let done = resolve(&*store, "a-decision-that-is-right", id.0, Action::Retry).await;
    assert_eq!(done, Ok(Some(OrderState::Declined)));
    assert!(store.attention(Attention { limit: 10 }).await.expect("attention").is_empty());
    let detail = store.inspect(Inspect { id: id.0 }).await.expect("inspect").expect("there");
    let actions: Vec<_> = detail.actions.into_iter().map(|record| record.action).collect();
    assert_eq!((actions, detail.state), (vec![Action::Retry], Some(OrderState::Declined)));
    assert!(events(&*store, 100).await.iter().any(|event| event.id == id), "and then tried again");
    ack(&*store, vec![id]).await;
    assert!(events(&*store, 100).await.iter().all(|event| event.id != id));
}
