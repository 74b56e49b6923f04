//! The needs-attention queue, and what people decide.

use contract::{
    Money, OperationId,
    orders::{
        Action, Answer, Attention, AttentionKind, Flag, Found, Get, Inspect, NoItem, OrderState, Postpone, Resolve,
        ResolveRefusal,
    },
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Case, Pair, complete, declined, due, permit, postpone, refuse};
use crate::store::{ATTEMPTS_MAX, OrderStore};

type Decision = Result<Option<OrderState>, ResolveRefusal>;

pub(super) async fn resolve(store: &dyn OrderStore, key: &str, id: Uuid, action: Action) -> Decision {
    let request = Resolve { id, action, operator: "ada".to_owned(), note: "seen at the provider".to_owned() };
    let body = serde_json::to_vec(&request).expect("json");
    store.resolve(&permit(key, &body), request).await.expect("resolve")
}

pub(super) async fn refunded(store: &dyn OrderStore, operation: OperationId) {
    let action = Action::Refunded { refund_id: "re_1".to_owned() };
    let done = resolve(store, &format!("refund-{operation}"), operation.0, action).await;
    assert_eq!(done, Ok(Some(OrderState::Refunded)));
}

/// A checkout that waits for a person.
async fn waiting(store: &dyn OrderStore, case: &Case) -> OperationId {
    let request = case.opened(store).await;
    let ask = Postpone { attention: true, ..postpone(request.operation, request.driver) };
    assert_eq!(store.postpone(ask).await.expect("postpone"), Ok(OrderState::NeedsAttention));
    request.operation
}

fn charged() -> Action {
    Action::Charged { provider_id: "ch_7".to_owned() }
}

pub(super) async fn a_decision_counts_once(stores: Pair) {
    let case = Case::new();
    let operation = waiting(&*stores[0], &case).await;
    let mut repeats = JoinSet::new();
    for number in 0..16 {
        let store = stores[number % 2].clone();
        repeats.spawn(async move { resolve(&*store, "one-decision-of-a-person", operation.0, charged()).await });
    }
    for answer in repeats.join_all().await {
        assert_eq!(answer, Ok(Some(OrderState::Completed)), "every repeat gets the answer of the first");
    }
    let other = resolve(&*stores[1], "one-decision-of-a-person", operation.0, Action::NotCharged).await;
    assert_eq!(other, Err(ResolveRefusal::IdReused));
    let detail = stores[1].inspect(Inspect { id: operation.0 }).await.expect("inspect").expect("there");
    assert_eq!((detail.actions.len(), detail.state), (1, Some(OrderState::Completed)));
    let record = &detail.actions[0];
    assert_eq!((&record.action, &*record.operator, &*record.note), (&charged(), "ada", "seen at the provider"));
    let Found::Ended(answer @ Answer::Completed(_)) = case.found(&*stores[0]).await else { panic!("not completed") };
    assert_eq!(complete(&*stores[1], operation).await, answer, "the machine's proof, late, gets the same");
    let events = stores[0].events(contract::orders::Events { limit: 100 }).await.expect("events");
    assert_eq!(events.len(), 3, "{events:?}");
}

pub(super) async fn one_of_two_decisions_wins(stores: Pair) {
    for round in 0..8 {
        let case = Case::new();
        let operation = waiting(&*stores[0], &case).await;
        let mut rivals = JoinSet::new();
        for number in 0..8 {
            let store = stores[number % 2].clone();
            let action = if number / 2 % 2 == 0 { charged() } else { Action::NotCharged };
            let key = format!("decision-{round}-number-{number}");
            rivals.spawn(async move { resolve(&*store, &key, operation.0, action).await });
        }
        let decisions = rivals.join_all().await;
        let won: Vec<_> = decisions.iter().filter_map(|decision| decision.ok()).collect();
        assert_eq!(won.len(), 1, "{decisions:?}");
        let lost = Err(ResolveRefusal::WrongState(won[0]));
        assert!(decisions.iter().all(|decision| decision.is_ok() || *decision == lost), "{decisions:?}");
        let closed = Answer::Closed { order: operation, proven: false };
        match (won[0], case.found(&*stores[1]).await) {
            (Some(OrderState::Completed), Found::Ended(Answer::Completed(_))) => {}
            (Some(OrderState::Refused), Found::Ended(answer)) => assert_eq!(answer, closed),
            other => panic!("{other:?}"),
        }
    }
}

/// IK-14, E16.
pub(super) async fn a_refund_keeps_the_answer([store, other]: Pair) {
    let case = Case::new();
    let operation = case.opened(&*store).await.operation;
    let answer = complete(&*store, operation).await;
    refunded(&*store, operation).await;
    refunded(&*other, operation).await;
    assert_eq!(case.found(&*other).await, Found::Ended(answer.clone()), "a late repeat gets what it would have got");
    assert_eq!(complete(&*other, operation).await, answer);
    assert_eq!(refuse(&*other, operation, declined()).await, answer);
    let order = store.get(Get { principal: case.principal, order: operation }).await.expect("get").expect("there");
    assert_eq!(order.state, OrderState::Refunded, "and the order says how it stands now");
    let twice = Action::Refunded { refund_id: "re_2".to_owned() };
    let twice = resolve(&*store, "another-refund-of-it", operation.0, twice).await;
    assert_eq!(twice, Err(ResolveRefusal::WrongState(Some(OrderState::Refunded))));
}

pub(super) async fn decisions_need_the_right_state([store, _]: Pair) {
    let refund = || Action::Refunded { refund_id: "re_1".to_owned() };
    let accepted = Case::new().opened(&*store).await.operation;
    let (completed, closed) =
        (Case::new().opened(&*store).await.operation, Case::new().opened(&*store).await.operation);
    complete(&*store, completed).await;
    refuse(&*store, closed, declined()).await;
    let wrong = [
        (accepted, OrderState::Accepted, vec![Action::Retry, refund()]),
        (completed, OrderState::Completed, vec![Action::Retry, charged(), Action::NotCharged]),
        (closed, OrderState::Declined, vec![Action::Retry, charged(), Action::NotCharged, refund()]),
    ];
    for (operation, state, actions) in wrong {
        for (number, action) in actions.into_iter().enumerate() {
            let key = format!("wrong-{operation}-{number}");
            let refused = resolve(&*store, &key, operation.0, action.clone()).await;
            assert_eq!(refused, Err(ResolveRefusal::WrongState(Some(state))), "{action:?}");
        }
    }
    let done = resolve(&*store, "not-charged-while-accepted", accepted.0, Action::NotCharged).await;
    assert_eq!(done, Ok(Some(OrderState::Refused)), "a person may close what the machine still tries");
    let late = resolve(&*store, &format!("wrong-{accepted}-1"), accepted.0, refund()).await;
    let remembered = Err(ResolveRefusal::WrongState(Some(OrderState::Accepted)));
    assert_eq!(late, remembered, "a refused decision, repeated late, is refused as it was then");
    let detail = store.inspect(Inspect { id: accepted.0 }).await.expect("inspect").expect("there");
    assert_eq!(detail.actions.len(), 1, "what was refused is not among what was done: {:?}", detail.actions);
    let unknown = Case::new().seams.uuid();
    assert_eq!(resolve(&*store, "what-is-not-there", unknown, charged()).await, Err(ResolveRefusal::NoItem));
    assert_eq!(store.inspect(Inspect { id: unknown }).await.expect("inspect"), Err(NoItem::NoItem));
}

/// Also when the provider's window is over and it was tried too often.
pub(super) async fn retry_makes_it_due([store, _]: Pair) {
    let request = Case::new().opened(&*store).await;
    let (operation, driver) = (request.operation, request.driver);
    store.postpone(postpone(operation, driver)).await.expect("postpone").expect("there");
    for _ in 1..ATTEMPTS_MAX {
        assert_eq!(due(&*store, driver).await, [operation]);
        store.postpone(postpone(operation, driver)).await.expect("postpone").expect("there");
    }
    assert!(due(&*store, driver).await.is_empty(), "a person's");
    let done = resolve(&*store, "try-again-after-a-look", operation.0, Action::Retry).await;
    assert_eq!(done, Ok(Some(OrderState::Accepted)));
    assert!(store.attention(Attention { limit: 10 }).await.expect("attention").is_empty());
    assert_eq!(due(&*store, driver).await, [operation]);
    let back = store.postpone(postpone(operation, driver)).await.expect("postpone");
    assert_eq!(back, Ok(OrderState::NeedsAttention), "it had one more try");
    assert!(due(&*store, driver).await.is_empty());
    assert_eq!(store.attention(Attention { limit: 10 }).await.expect("attention").len(), 1);
}

pub(super) async fn a_difference_is_one_item_and_can_be_closed([store, other]: Pair) {
    let case = Case::new();
    let operation = case.opened(&*store).await.operation;
    complete(&*store, operation).await;
    let (known, foreign) = (case.seams.uuid(), case.seams.uuid());
    let reason = "the provider has two charges".to_owned();
    let flags = [
        Flag { id: known, operation: Some(operation), reason: reason.clone(), amount: Some(Money::gbp(1998)) },
        Flag { id: foreign, operation: None, reason, amount: None },
    ];
    let flag = async || {
        for flag in &flags {
            store.flag(flag.clone()).await.expect("flag");
            other.flag(Flag { reason: "found again".to_owned(), ..flag.clone() }).await.expect("flag");
        }
        store.attention(Attention { limit: 10 }).await.expect("attention")
    };
    let queue = flag().await;
    assert_eq!(queue.len(), 2);
    let item = queue.iter().find(|item| item.id == known).expect("there");
    assert_eq!(
        (item.kind, item.operation, item.amount),
        (AttentionKind::Mismatch, Some(operation), Some(Money::gbp(1998)))
    );
    assert_eq!(item.reason, flags[0].reason, "as it was first found");
    let detail = other.inspect(Inspect { id: known }).await.expect("inspect").expect("there");
    assert_eq!((detail.item, detail.state), (item.clone(), Some(OrderState::Completed)));

    assert_eq!(resolve(&*store, "look-at-it-again-later", foreign, Action::Retry).await, Ok(None));
    let closed =
        resolve(&*store, "dealt-with-for-good-now", known, Action::Refunded { refund_id: "re_1".to_owned() }).await;
    assert_eq!(closed, Ok(Some(OrderState::Completed)), "its checkout is left as it stands");
    assert!(other.attention(Attention { limit: 10 }).await.expect("attention").is_empty());
    let again = resolve(&*store, "dealt-with-once-more-now", known, Action::Retry).await;
    assert_eq!(again, Err(ResolveRefusal::NoItem), "it is closed");
    let queue = flag().await;
    assert_eq!(queue.iter().map(|item| item.id).collect::<Vec<_>>(), [foreign], "what was closed stays closed");
}

pub(super) async fn the_queue_is_counted([store, timeless]: Pair) {
    let empty = store.figures().await.expect("figures");
    assert_eq!(empty, crate::store::Figures::default());
    let case = Case::new();
    waiting(&*store, &case).await;
    let operation = Case::new().opened(&*store).await.operation;
    refuse(&*store, operation, declined()).await;
    for _ in 0..=ATTEMPTS_MAX {
        timeless.events(contract::orders::Events { limit: 10 }).await.expect("events");
    }
    complete(&*store, Case::new().opened(&*store).await.operation).await;
    let flag = Flag { id: case.seams.uuid(), operation: None, reason: "differs".to_owned(), amount: None };
    store.flag(flag).await.expect("flag");
    let figures = store.figures().await.expect("figures");
    let depths = [figures.checkouts, figures.events, figures.mismatches, figures.outbox].map(|waiting| waiting.depth);
    assert_eq!(depths, [1, 1, 1, 3]);
    let queue = store.attention(Attention { limit: 10 }).await.expect("attention");
    assert_eq!(queue.len(), 3);
    assert!(queue.is_sorted_by_key(|item| (item.since_ms, item.id)), "oldest first: {queue:?}");
    assert_eq!(store.attention(Attention { limit: 1 }).await.expect("attention"), queue[..1]);
}
