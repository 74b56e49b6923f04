//! Ends: state, stored answer and outbox in one transaction, once.

use contract::{
    CartId, Money, OperationId, PrincipalId,
    orders::{Answer, Complete, Found, Get, List, NotFound, Opened, OrderState, Refuse, RefuseReason, Taken},
};
use runtime::Seams;
use tokio::task::JoinSet;

use super::{Case, Pair, complete, declined, once, open, refuse, take};
use crate::store::OrderStore;

pub(super) async fn the_stored_answer_is_final([store, other]: Pair) {
    let case = Case::new();
    let operation = case.opened(&*store).await.operation;
    let first = complete(&*store, operation).await;
    assert!(matches!(&first, Answer::Completed(order) if order.state == OrderState::Completed));
    assert_eq!(complete(&*other, operation).await, first);
    assert_eq!(refuse(&*other, operation, declined()).await, first, "a late refusal changes nothing");
    assert_eq!(case.found(&*other).await, Found::Ended(first.clone()));
    assert_eq!(take(&*other, operation, case.driver()).await, Taken::Ended(first.clone()));
    let (permit, again) = case.open();
    assert_eq!(open(&*other, &permit, again).await, Ok(Opened::Existing(Found::Ended(first))));
    let unknown = OperationId(case.seams.uuid());
    let (permit, provider_id) = (once(&unknown.to_string()), "ch_1".to_owned());
    let nothing = store.complete(&permit, Complete { operation: unknown, provider_id }).await.expect("complete");
    assert_eq!(nothing, Err(NotFound::NotFound));
    let nothing = store.refuse(&permit, Refuse { operation: unknown, reason: declined() }).await.expect("refuse");
    assert_eq!(nothing, Err(NotFound::NotFound));
}

pub(super) async fn a_refused_checkout_frees_its_lines([store, _]: Pair) {
    let case = Case::new();
    let sku: contract::Sku = "emma".parse().expect("a sku");
    let out = RefuseReason::OutOfStock { sku: sku.clone(), available: 1 };
    for (number, reason) in [declined(), out, RefuseReason::Closed].into_iter().enumerate() {
        let (_, request) = case.open();
        let (order, key) = (request.operation, format!("request-key-number-{number}"));
        let opened = open(&*store, &once(&key), request).await;
        assert!(matches!(opened, Ok(Opened::Claimed(_))), "the lines are free: {opened:?}");
        let (answer, state) = match &reason {
            RefuseReason::Declined { code } => (Answer::Declined { order, code: code.clone() }, OrderState::Declined),
            RefuseReason::OutOfStock { available, .. } => {
                (Answer::OutOfStock { order, sku: sku.clone(), available: *available }, OrderState::Refused)
            }
            RefuseReason::Closed => (Answer::Closed { order, proven: true }, OrderState::Refused),
        };
        assert_eq!(refuse(&*store, order, reason).await, answer);
        assert_eq!(complete(&*store, order).await, answer, "what came to nothing stays nothing");
        let shown = store.get(Get { principal: case.principal, order }).await.expect("get").expect("there");
        assert_eq!(shown.state, state);
    }
}

pub(super) async fn ends_that_race_end_once(stores: Pair) {
    for _ in 0..8 {
        let operation = Case::new().opened(&*stores[0]).await.operation;
        let mut ends = JoinSet::new();
        for number in 0..16 {
            let store = stores[number % 2].clone();
            ends.spawn(async move {
                if number / 2 % 2 == 0 {
                    complete(&*store, operation).await
                } else {
                    refuse(&*store, operation, declined()).await
                }
            });
        }
        let answers = ends.join_all().await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "one end, and everybody is told it: {answers:?}");
        let events = stores[0].events(contract::orders::Events { limit: 100 }).await.expect("events");
        let expected = if matches!(answers[0], Answer::Completed(_)) { 3 } else { 1 };
        assert_eq!(events.len(), expected, "the events of one end: {events:?}");
    }
}

/// IK-18, E24: over 64 KiB it is not stored, and yet the same.
pub(super) async fn a_long_answer_is_made_again([store, other]: Pair) {
    let case = Case::new();
    let (permit, mut request) = case.open();
    let line = request.snapshot.lines[0].clone();
    let title = |number: usize| format!("{number} {}", "Emma \"\\\u{fc}".repeat(100));
    let lines = (0..200).map(|number| contract::orders::OrderLine { title: title(number), ..line.clone() });
    request.snapshot.lines = lines.collect();
    let (operation, lines) = (request.operation, request.snapshot.lines.clone());
    open(&*store, &permit, request).await.expect("claimed");
    let answer = complete(&*store, operation).await;
    assert!(
        matches!(&answer, Answer::Completed(order) if order.lines == lines && order.state == OrderState::Completed)
    );
    assert_eq!(complete(&*other, operation).await, answer);
    assert_eq!(take(&*other, operation, case.driver()).await, Taken::Ended(answer.clone()));
    super::desk::refunded(&*store, operation).await;
    assert_eq!(case.found(&*other).await, Found::Ended(answer), "also after a refund");
}

pub(super) async fn orders_are_their_owners_own([store, _]: Pair) {
    let case = Case::new();
    let (principal, order) = (case.principal, case.opened(&*store).await.operation);
    let mine = store.get(Get { principal, order }).await.expect("get").expect("mine");
    assert_eq!((mine.id, mine.state, mine.total), (order, OrderState::Accepted, Money::gbp(1998)));
    let stranger = PrincipalId(case.seams.uuid());
    assert_eq!(store.get(Get { principal: stranger, order }).await.expect("get"), Err(NotFound::NotFound));
    assert!(store.list(List { principal: stranger, after: None, limit: 10 }).await.expect("list").items.is_empty());

    refuse(&*store, order, declined()).await;
    let mut opened = Vec::new();
    for number in 0..5 {
        let (cart, key) = (CartId(case.seams.uuid()), format!("the-request-key-{number}"));
        opened.push(Case { principal, cart, key, seams: Seams::system() }.opened(&*store).await.operation);
    }
    opened.sort();
    opened.reverse();
    let pages = pages(&*store, principal).await;
    assert_eq!(pages, opened, "newest first, the declined one left out, the cursor skips nothing");
}

async fn pages(store: &dyn OrderStore, principal: PrincipalId) -> Vec<OperationId> {
    let first = store.list(List { principal, after: None, limit: 3 }).await.expect("list");
    let rest = store.list(List { principal, after: first.next, limit: 3 }).await.expect("list");
    assert_eq!((first.items.len(), rest.next), (3, None));
    first.items.iter().chain(&rest.items).map(|order| order.id).collect()
}
