//! Leases: who drives a checkout, and when it is tried again.

use contract::{
    Money, OperationId,
    orders::{
        Answer, Attention, Due, Heartbeat, Inspect, NotFound, Nudge, OrderState, Postpone, RefuseReason, Take, Taken,
    },
};
use tokio::task::JoinSet;

use super::{Case, Pair, complete, due, postpone, refuse, take};
use crate::store::{ATTEMPTS_KEPT, ATTEMPTS_MAX, OrderStore};

pub(super) async fn leases_keep_others_out([store, other]: Pair) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (operation, stranger) = (request.operation, case.driver());
    assert_eq!(take(&*other, operation, stranger).await, Taken::Busy { state: OrderState::Accepted, driven: true });
    assert!(due(&*other, stranger).await.is_empty());
    assert!(!store.heartbeat(Heartbeat { operation, driver: stranger }).await.expect("heartbeat"));
    assert!(store.heartbeat(Heartbeat { operation, driver: request.driver }).await.expect("heartbeat"));
    store.postpone(postpone(operation, stranger)).await.expect("postpone").expect("there");
    assert!(store.heartbeat(Heartbeat { operation, driver: request.driver }).await.expect("heartbeat"), "still held");
    let mine = take(&*other, operation, request.driver).await;
    assert!(matches!(mine, Taken::Yours(_)), "taking it again gives the same lease: {mine:?}");
    let unknown = Take { operation: OperationId(case.seams.uuid()), driver: stranger };
    assert_eq!(store.take(unknown).await.expect("take"), Err(NotFound::NotFound));
    complete(&*store, operation).await;
    assert!(!store.heartbeat(Heartbeat { operation, driver: request.driver }).await.expect("heartbeat"), "it is over");
}

/// E11: the one who comes late changes nothing, and both get one answer.
pub(super) async fn a_lapsed_lease_is_taken_over([one, two]: Pair) {
    let case = Case::new();
    let request = case.opened(&*one).await;
    let (operation, successor) = (request.operation, case.driver());
    let taken = take(&*two, operation, successor).await;
    assert!(matches!(&taken, Taken::Yours(checkout) if checkout.snapshot == request.snapshot), "{taken:?}");
    assert!(!one.heartbeat(Heartbeat { operation, driver: request.driver }).await.expect("heartbeat"));
    let late = one.postpone(postpone(operation, request.driver)).await.expect("postpone");
    assert_eq!(late, Ok(OrderState::Accepted));
    assert!(
        two.heartbeat(Heartbeat { operation, driver: successor }).await.expect("heartbeat"),
        "still the successor's"
    );
    let third = case.driver();
    assert_eq!(due(&*one, third).await, [operation]);
    assert!(!two.heartbeat(Heartbeat { operation, driver: successor }).await.expect("heartbeat"));
}

pub(super) async fn postponed_checkouts_come_back_and_are_shown_to_a_person([store, other]: Pair) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (operation, driver) = (request.operation, case.driver());
    let later = Postpone { delay_ms: 60_000, ..postpone(operation, request.driver) };
    store.postpone(later).await.expect("postpone").expect("there");
    assert!(due(&*other, driver).await.is_empty(), "its next try has not come");
    assert_eq!(take(&*other, operation, driver).await, Taken::Busy { state: OrderState::Accepted, driven: false });
    store.nudge(Nudge { operation }).await.expect("nudge");
    assert_eq!(due(&*other, driver).await, [operation], "something new is known about it");

    let request = Case::new().opened(&*store).await;
    let operation = request.operation;
    let mut state = store.postpone(postpone(operation, request.driver)).await.expect("postpone").expect("there");
    for tries in 2..=ATTEMPTS_MAX {
        assert_eq!(state, OrderState::Accepted, "after {} tries", tries - 1);
        let due = store.due(Due { driver, limit: 10 }).await.expect("due");
        assert_eq!(due.iter().map(|checkout| checkout.operation).collect::<Vec<_>>(), [operation]);
        assert_eq!((&due[0].snapshot, due[0].attempts), (&request.snapshot, tries - 1));
        state = store.postpone(postpone(operation, driver)).await.expect("postpone").expect("there");
    }
    assert_eq!(state, OrderState::NeedsAttention);
    assert_eq!(due(&*store, driver).await, [operation], "a person sees it, and it is tried while the window is open");
    let queue = store.attention(Attention { limit: 10 }).await.expect("attention");
    assert_eq!(queue.len(), 1);
    let item = (queue[0].operation, queue[0].amount, queue[0].attempts);
    assert_eq!(item, (Some(operation), Some(Money::gbp(1998)), ATTEMPTS_MAX));
    let again = store.postpone(postpone(operation, driver)).await.expect("postpone");
    assert_eq!(again, Ok(OrderState::NeedsAttention));
    let answer = complete(&*store, operation).await;
    assert!(matches!(answer, Answer::Completed(_)), "proof that arrives late still completes it");
    assert!(store.attention(Attention { limit: 10 }).await.expect("attention").is_empty());
}

/// The second store's checkouts have no window: it closed before they were opened.
pub(super) async fn a_driver_can_ask_for_a_person([store, timeless]: Pair) {
    let request = Case::new().opened(&*store).await;
    let (operation, driver) = (request.operation, Case::new().driver());
    let ask = |operation, driver| Postpone { attention: true, ..postpone(operation, driver) };
    let asked = store.postpone(ask(operation, request.driver)).await.expect("postpone");
    assert_eq!(asked, Ok(OrderState::NeedsAttention));
    assert_eq!(due(&*store, driver).await, [operation], "the window is open: it may yet end by itself");

    let request = Case::new().opened(&*timeless).await;
    let over = request.operation;
    let asked = store.postpone(ask(over, request.driver)).await.expect("postpone");
    assert_eq!(asked, Ok(OrderState::NeedsAttention));
    assert!(due(&*store, driver).await.is_empty(), "the window is over: only a person, or news, helps");
    let waits = take(&*store, over, driver).await;
    assert_eq!(waits, Taken::Busy { state: OrderState::NeedsAttention, driven: false });
    assert_eq!(store.attention(Attention { limit: 10 }).await.expect("attention").len(), 2);
    store.nudge(Nudge { operation: over }).await.expect("nudge");
    assert_eq!(due(&*store, driver).await, [over], "news");
    let still = store.postpone(postpone(over, driver)).await.expect("postpone");
    assert_eq!((still, due(&*store, driver).await), (Ok(OrderState::NeedsAttention), vec![]));
    refuse(&*store, over, RefuseReason::Closed).await;
    store.nudge(Nudge { operation: over }).await.expect("nudge");
    assert!(due(&*store, driver).await.is_empty(), "what is over is never due");
}

pub(super) async fn the_last_tries_are_on_record([store, _]: Pair) {
    let request = Case::new().opened(&*store).await;
    let (operation, driver) = (request.operation, request.driver);
    for number in 0..ATTEMPTS_KEPT + 3 {
        assert!(matches!(take(&*store, operation, driver).await, Taken::Yours(_)));
        store.nudge(Nudge { operation }).await.expect("nudge");
        let reason = format!("try {number}");
        store.postpone(Postpone { reason, ..postpone(operation, driver) }).await.expect("postpone").expect("there");
        store.postpone(postpone(operation, driver)).await.expect("postpone").expect("sent again, it counts once");
        store.nudge(Nudge { operation }).await.expect("nudge");
    }
    let detail = store.inspect(Inspect { id: operation.0 }).await.expect("inspect").expect("there");
    let reasons: Vec<_> = detail.attempts.iter().map(|attempt| attempt.reason.clone()).collect();
    let expected: Vec<_> = (3..ATTEMPTS_KEPT + 3).map(|number| format!("try {number}")).collect();
    assert_eq!((reasons, detail.item.attempts), (expected, ATTEMPTS_KEPT + 3));
    assert!(detail.attempts.is_sorted_by_key(|attempt| attempt.at_ms));
}

/// Two nodes that ask at once, each for all there is.
pub(super) async fn no_checkout_is_leased_twice(stores: Pair) {
    let mut opened = Vec::new();
    for _ in 0..20 {
        let request = Case::new().opened(&*stores[0]).await;
        stores[0].postpone(postpone(request.operation, request.driver)).await.expect("postpone").expect("there");
        opened.push(request.operation);
    }
    let mut drivers = JoinSet::new();
    for number in 0..8 {
        let (store, driver) = (stores[number % 2].clone(), Case::new().driver());
        drivers.spawn(async move { collect(&*store, driver).await });
    }
    let mut leased = drivers.join_all().await.concat();
    leased.sort();
    opened.sort();
    assert_eq!(leased, opened, "each exactly once");
}

async fn collect(store: &dyn OrderStore, driver: contract::orders::Driver) -> Vec<OperationId> {
    let mut all = Vec::new();
    loop {
        let due = store.due(Due { driver, limit: 3 }).await.expect("due");
        if due.is_empty() {
            return all;
        }
        all.extend(due.iter().map(|checkout| checkout.operation));
    }
}
