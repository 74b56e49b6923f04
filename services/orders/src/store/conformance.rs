//! What every orders store must do, as a suite that runs on each back end (T-2). A back end is right when it passes.
//!
//! Public and outside `tests/`, because it is the definition of the trait's promises, not a test of one implementation.
#![expect(clippy::expect_used, reason = "a conformance suite panics where a store breaks its promise")]

use std::sync::Arc;

use contract::{
    CartId, ExactlyOnce, Fingerprint, Money, Once, OpId, OperationId, PrincipalId, Strategy,
    orders::{
        Ack, Answer, Attention, Complete, Driver, Due, EventKind, Events, Find, Found, Get, Heartbeat, KeyReused, List,
        NotFound, Open, OpenRefusal, Opened, OrderLine, OrderState, Postpone, Refuse, RefuseReason, Snapshot, Take,
        Taken,
    },
    payments::PaymentToken,
};
use runtime::Seams;

use super::{ATTEMPTS_MAX, OrderStore};

/// Runs every case, each on a fresh store.
pub async fn suite(mut fresh: impl AsyncFnMut() -> Arc<dyn OrderStore>) {
    one_claim_wins(fresh().await).await;
    a_lost_claim_reply_is_answered_again(fresh().await).await;
    another_fingerprint_is_refused(fresh().await).await;
    two_keys_cannot_buy_one_line(fresh().await).await;
    the_stored_answer_is_final(fresh().await).await;
    a_refused_checkout_frees_its_lines(fresh().await).await;
    leases_keep_others_out(fresh().await).await;
    postponed_checkouts_come_back_and_are_shown_to_a_person(fresh().await).await;
    events_are_leased_and_forgotten_by_id(fresh().await).await;
    orders_are_their_owners_own(fresh().await).await;
}

/// A checkout to be opened, with all its ids.
struct Case {
    seams: Seams,
    principal: PrincipalId,
    cart: CartId,
    key: String,
}

impl Case {
    fn new() -> Self {
        let seams = Seams::system();
        let (principal, cart, key) = (PrincipalId(seams.uuid()), CartId(seams.uuid()), seams.token());
        Self { seams, principal, cart, key }
    }

    fn open(&self) -> (Once, Open) {
        let line = OrderLine {
            sku: "emma".parse().expect("a sku"),
            title: "Emma".to_owned(),
            quantity: 2,
            unit_price: Money::gbp(999),
            line_total: Money::gbp(1998),
        };
        let snapshot = Snapshot {
            lines: vec![line],
            total: Money::gbp(1998),
            address: None,
            cart: self.cart,
            epoch: 0,
            ops: vec![OpId::new(self.cart, "add")],
        };
        let request = Open {
            principal: self.principal,
            fingerprint: Fingerprint::of(b"one"),
            operation: OperationId(self.seams.uuid()),
            snapshot,
            payment: PaymentToken("tok_ok".to_owned()),
            driver: Driver(self.seams.uuid()),
        };
        (once(&self.key), request)
    }

    fn find(&self) -> Find {
        let key = self.key.parse().expect("a token is a request id");
        Find { principal: self.principal, key, fingerprint: Fingerprint::of(b"one") }
    }

    async fn opened(&self, store: &dyn OrderStore) -> Open {
        let (once, request) = self.open();
        let opened = store.open(&once, request.clone()).await.expect("open").expect("not refused");
        assert!(matches!(opened, Opened::Claimed(_)), "{opened:?}");
        request
    }
}

#[expect(clippy::disallowed_methods, reason = "the suite stands in for the server that would issue the permit")]
fn once(key: &str) -> Once {
    ExactlyOnce::permit(key.parse().expect("a request id"), b"{}")
}

fn complete(operation: OperationId) -> (Once, Complete) {
    (once(&operation.to_string()), Complete { operation, provider_id: "ch_1".to_owned() })
}

async fn one_claim_wins(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (store, (once, request)) = (store.clone(), case.open());
        claims.spawn(async move { (request.operation, store.open(&once, request).await) });
    }
    let mut winners = Vec::new();
    let mut seen = Vec::new();
    while let Some(claim) = claims.join_next().await {
        let (proposed, opened) = claim.expect("no panic");
        match opened.expect("open").expect("not refused") {
            Opened::Claimed(checkout) => {
                assert_eq!(checkout.operation, proposed);
                winners.push(proposed);
            }
            Opened::Existing(Found::Open { operation }) => seen.push(operation),
            Opened::Existing(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "of 64 first requests exactly one owns the key");
    assert!(seen.iter().all(|operation| *operation == winners[0]));
}

async fn a_lost_claim_reply_is_answered_again(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let (once, request) = case.open();
    let first = store.open(&once, request.clone()).await.expect("open");
    let again = store.open(&once, request).await.expect("open");
    assert_eq!(first, again);
}

async fn another_fingerprint_is_refused(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let other = Find { fingerprint: Fingerprint::of(b"other"), ..case.find() };
    assert_eq!(store.find(other.clone()).await.expect("find"), Err(KeyReused::KeyReused));
    let (permit, reused) = case.open();
    let reused = Open { fingerprint: Fingerprint::of(b"other"), ..reused };
    assert_eq!(store.open(&permit, reused).await.expect("open"), Err(OpenRefusal::KeyReused));
    let (permit, done) = complete(request.operation);
    store.complete(&permit, done).await.expect("complete").expect("there");
    assert_eq!(store.find(other).await.expect("find"), Err(KeyReused::KeyReused));
    let stranger = Find { principal: PrincipalId(case.seams.uuid()), ..case.find() };
    assert_eq!(store.find(stranger).await.expect("find"), Ok(Found::Nothing), "a key is its principal's own");
}

async fn two_keys_cannot_buy_one_line(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (_, rival) = case.open();
    let refused = store.open(&once("another-request-key"), rival).await.expect("open");
    assert_eq!(refused, Err(OpenRefusal::CartClaimed { order: request.operation }));
}

async fn the_stored_answer_is_final(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (permit, done) = complete(request.operation);
    let first = store.complete(&permit, done.clone()).await.expect("complete").expect("there");
    assert!(matches!(&first, Answer::Completed(order) if order.state == OrderState::Completed));
    let refuse = Refuse { operation: request.operation, reason: RefuseReason::Declined { code: "late".to_owned() } };
    assert_eq!(store.complete(&permit, done).await.expect("complete"), Ok(first.clone()));
    assert_eq!(
        store.refuse(&permit, refuse).await.expect("refuse"),
        Ok(first.clone()),
        "a late refusal changes nothing"
    );
    assert_eq!(store.find(case.find()).await.expect("find"), Ok(Found::Ended(first)));
    let (permit, unknown) = complete(OperationId(case.seams.uuid()));
    assert_eq!(store.complete(&permit, unknown).await.expect("complete"), Err(NotFound::NotFound));
}

async fn a_refused_checkout_frees_its_lines(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let reason = RefuseReason::Declined { code: "card_declined".to_owned() };
    let refuse = Refuse { operation: request.operation, reason };
    let answer = store.refuse(&once(&request.operation.to_string()), refuse).await.expect("refuse").expect("there");
    assert!(matches!(answer, Answer::Declined { .. }));
    let (_, again) = case.open();
    let opened = store.open(&once("another-request-key"), again).await.expect("open").expect("the lines are free");
    assert!(matches!(opened, Opened::Claimed(_)));
}

async fn leases_keep_others_out(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (operation, stranger) = (request.operation, Driver(case.seams.uuid()));
    let taken = store.take(Take { operation, driver: stranger }).await.expect("take").expect("there");
    assert_eq!(taken, Taken::Busy { state: OrderState::Accepted, driven: true });
    assert!(store.due(Due { driver: stranger, limit: 10 }).await.expect("due").is_empty());
    assert!(!store.heartbeat(Heartbeat { operation, driver: stranger }).await.expect("heartbeat"));
    assert!(store.heartbeat(Heartbeat { operation, driver: request.driver }).await.expect("heartbeat"));
    let postpone =
        Postpone { operation, driver: stranger, reason: "not mine".to_owned(), delay_ms: 0, attention: false };
    store.postpone(postpone).await.expect("postpone").expect("there");
    assert!(store.heartbeat(Heartbeat { operation, driver: request.driver }).await.expect("heartbeat"), "still held");
    let unknown = Take { operation: OperationId(case.seams.uuid()), driver: stranger };
    assert_eq!(store.take(unknown).await.expect("take"), Err(NotFound::NotFound));
}

async fn postponed_checkouts_come_back_and_are_shown_to_a_person(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let operation = request.operation;
    let postpone = |driver, delay_ms| Postpone {
        operation,
        driver,
        reason: "provider: timeout".to_owned(),
        delay_ms,
        attention: false,
    };
    store.postpone(postpone(request.driver, 60_000)).await.expect("postpone").expect("there");
    let driver = Driver(case.seams.uuid());
    assert!(store.due(Due { driver, limit: 10 }).await.expect("due").is_empty(), "its next try has not come");
    let busy = store.take(Take { operation, driver }).await.expect("take").expect("there");
    assert_eq!(busy, Taken::Busy { state: OrderState::Accepted, driven: false });

    let case = Case::new();
    let request = case.opened(&*store).await;
    let operation = request.operation;
    let postpone =
        |driver| Postpone { operation, driver, reason: "provider: timeout".to_owned(), delay_ms: 0, attention: false };
    let mut state = store.postpone(postpone(request.driver)).await.expect("postpone").expect("there");
    for tries in 2..=ATTEMPTS_MAX {
        assert_eq!(state, OrderState::Accepted, "after {} tries", tries - 1);
        let due = store.due(Due { driver, limit: 10 }).await.expect("due");
        assert_eq!(due.iter().map(|checkout| checkout.operation).collect::<Vec<_>>(), [operation]);
        assert_eq!(due[0].snapshot, request.snapshot);
        state = store.postpone(postpone(driver)).await.expect("postpone").expect("there");
    }
    assert_eq!(state, OrderState::NeedsAttention);
    let due = store.due(Due { driver, limit: 10 }).await.expect("due");
    assert_eq!(due.len(), 1, "it is shown to a person, and still tried while the provider's window is open");
    let queue = store.attention(Attention { limit: 10 }).await.expect("attention");
    assert_eq!(queue.len(), 1);
    assert_eq!(
        (queue[0].operation, queue[0].amount, queue[0].attempts),
        (Some(operation), Some(Money::gbp(1998)), ATTEMPTS_MAX)
    );
    assert_eq!(store.postpone(postpone(driver)).await.expect("postpone"), Ok(OrderState::NeedsAttention));
    let (permit, done) = complete(operation);
    let answer = store.complete(&permit, done).await.expect("complete").expect("there");
    assert!(matches!(answer, Answer::Completed(_)), "proof that arrives late still completes it");
}

async fn events_are_leased_and_forgotten_by_id(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (permit, done) = complete(request.operation);
    store.complete(&permit, done).await.expect("complete").expect("there");
    let events = store.events(Events { limit: 100 }).await.expect("events");
    let (mut settle, mut clear, mut receipt) = (0, 0, 0);
    for event in &events {
        assert_eq!(event.operation, request.operation);
        match &event.kind {
            EventKind::SettleStock => settle += 1,
            EventKind::ClearCart { cart, epoch: 0, ops } if *cart == case.cart && *ops == request.snapshot.ops => {
                clear += 1
            }
            EventKind::SendReceipt { order, .. } if order.total == Money::gbp(1998) => receipt += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((settle, clear, receipt), (1, 1, 1));
    assert!(store.events(Events { limit: 100 }).await.expect("events").is_empty(), "leased events stay leased");
    store.ack(Ack { ids: vec![events[0].id] }).await.expect("ack");
    store.ack(Ack { ids: vec![events[0].id] }).await.expect("a second ack changes nothing");
}

async fn orders_are_their_owners_own(store: Arc<dyn OrderStore>) {
    let case = Case::new();
    let request = case.opened(&*store).await;
    let (principal, order) = (case.principal, request.operation);
    let mine = store.get(Get { principal, order }).await.expect("get").expect("mine");
    assert_eq!((mine.id, mine.state, mine.total), (order, OrderState::Accepted, Money::gbp(1998)));
    let stranger = PrincipalId(case.seams.uuid());
    assert_eq!(store.get(Get { principal: stranger, order }).await.expect("get"), Err(NotFound::NotFound));
    assert!(store.list(List { principal: stranger, after: None, limit: 10 }).await.expect("list").items.is_empty());

    let reason = RefuseReason::Declined { code: "card_declined".to_owned() };
    store.refuse(&once(&order.to_string()), Refuse { operation: order, reason }).await.expect("refuse").expect("there");
    let mut opened = Vec::new();
    for number in 0..5 {
        let next = Case {
            principal,
            cart: CartId(case.seams.uuid()),
            key: format!("the-request-key-{number}"),
            seams: Seams::system(),
        };
        opened.push(next.opened(&*store).await.operation);
    }
    opened.sort();
    opened.reverse();
    let first = store.list(List { principal, after: None, limit: 3 }).await.expect("list");
    let rest = store.list(List { principal, after: first.next, limit: 3 }).await.expect("list");
    let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|order| order.id).collect();
    assert_eq!(listed, opened, "newest first, the declined one left out, the cursor skips nothing");
    assert_eq!(rest.next, None);
}
