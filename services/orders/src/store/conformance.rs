//! What every orders store must do, as a suite that runs on each back end (T-2). A back end is right when it passes.
//!
//! Public and outside `tests/`, because it is the definition of the trait's promises, not a test of one implementation.
#![expect(clippy::expect_used, reason = "a conformance suite panics where a store breaks its promise")]

use std::sync::Arc;

use contract::{
    CartId, ExactlyOnce, Fingerprint, Money, Once, OpId, OperationId, PrincipalId, Strategy,
    orders::{
        Answer, Complete, Driver, Find, Found, Open, OpenRefusal, Opened, OrderLine, Postpone, Refuse, RefuseReason,
        Snapshot, Take, Taken,
    },
    payments::PaymentToken,
};
use runtime::Seams;

use super::{OrderStore, Periods};

mod claims;
mod desk;
mod ends;
mod leases;
mod outbox;
mod retention;

/// Two nodes' stores over the same data.
pub type Pair = [Arc<dyn OrderStore>; 2];

/// Nothing is kept and nothing is held: what time would bring is there at once, so that no case has to wait for it.
pub const NO_TIME: Periods =
    Periods { charge_window_ms: -12 * 60 * 60 * 1_000, result_ms: 0, key_ms: 0, lease_ms: 0, event_lease_ms: 0 };

/// Runs every case. `make` gives two stores with these periods over the same, new and empty data.
///
/// # Panics
/// When the store breaks one of its promises.
pub async fn suite(make: impl AsyncFn([Periods; 2]) -> Pair) {
    let real = [Periods::default(); 2];
    let and_timeless = [Periods::default(), NO_TIME];
    claims::one_claim_wins(make(real).await).await;
    claims::a_lost_claim_reply_is_answered_again(make(real).await).await;
    claims::another_fingerprint_is_refused(make(real).await).await;
    claims::two_keys_cannot_buy_one_line(make(real).await).await;
    claims::rivals_for_overlapping_carts_do_not_block_each_other(make(real).await).await;
    leases::leases_keep_others_out(make(real).await).await;
    leases::a_lapsed_lease_is_taken_over(make([NO_TIME; 2]).await).await;
    leases::postponed_checkouts_come_back_and_are_shown_to_a_person(make(real).await).await;
    leases::a_driver_can_ask_for_a_person(make(and_timeless).await).await;
    leases::the_last_tries_are_on_record(make([NO_TIME; 2]).await).await;
    leases::no_checkout_is_leased_twice(make(real).await).await;
    ends::the_stored_answer_is_final(make(real).await).await;
    ends::a_refused_checkout_frees_its_lines(make(real).await).await;
    ends::ends_that_race_end_once(make(real).await).await;
    ends::a_long_answer_is_made_again(make(real).await).await;
    ends::orders_are_their_owners_own(make(real).await).await;
    retention::answers_expire_when_they_are_read(make(and_timeless).await).await;
    retention::the_reaper_takes_only_what_is_over(make(and_timeless).await).await;
    retention::the_reaper_takes_no_more_than_it_is_told(make([NO_TIME; 2]).await).await;
    outbox::events_are_leased(make(real).await).await;
    outbox::events_are_forgotten_by_exact_id(make([NO_TIME; 2]).await).await;
    outbox::no_event_is_leased_twice(make(real).await).await;
    outbox::a_poisoned_event_is_shown_to_a_person(make([NO_TIME; 2]).await).await;
    desk::a_decision_counts_once(make(real).await).await;
    desk::one_of_two_decisions_wins(make(real).await).await;
    desk::a_refund_keeps_the_answer(make(real).await).await;
    desk::decisions_need_the_right_state(make(real).await).await;
    desk::retry_makes_it_due(make([NO_TIME; 2]).await).await;
    desk::a_difference_is_one_item_and_can_be_closed(make(real).await).await;
    desk::the_queue_is_counted(make(and_timeless).await).await;
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
            ops: vec![self.op(0)],
        };
        let request = Open {
            principal: self.principal,
            fingerprint: Fingerprint::of(b"one"),
            operation: OperationId(self.seams.uuid()),
            snapshot,
            payment: PaymentToken("tok_ok".to_owned()),
            driver: self.driver(),
        };
        (once(&self.key), request)
    }

    fn op(&self, number: usize) -> OpId {
        OpId::new(self.cart, &format!("add {number}"))
    }

    fn driver(&self) -> Driver {
        Driver(self.seams.uuid())
    }

    fn find(&self) -> Find {
        let key = self.key.parse().expect("a token is a request id");
        Find { principal: self.principal, key, fingerprint: Fingerprint::of(b"one") }
    }

    async fn found(&self, store: &dyn OrderStore) -> Found {
        store.find(self.find()).await.expect("find").expect("the same request")
    }

    async fn opened(&self, store: &dyn OrderStore) -> Open {
        let (once, request) = self.open();
        let opened = open(store, &once, request.clone()).await.expect("not refused");
        assert!(matches!(opened, Opened::Claimed(_)), "{opened:?}");
        request
    }
}

#[expect(clippy::disallowed_methods, reason = "the suite stands in for the server that would issue the permit")]
fn permit(key: &str, body: &[u8]) -> Once {
    ExactlyOnce::permit(format!("{key:.<16}").parse().expect("a request id"), body)
}

fn once(key: &str) -> Once {
    permit(key, b"{}")
}

async fn open(store: &dyn OrderStore, once: &Once, request: Open) -> Result<Opened, OpenRefusal> {
    store.open(once, request).await.expect("open")
}

async fn complete(store: &dyn OrderStore, operation: OperationId) -> Answer {
    let request = Complete { operation, provider_id: "ch_1".to_owned() };
    store.complete(&once(&operation.to_string()), request).await.expect("complete").expect("there")
}

async fn refuse(store: &dyn OrderStore, operation: OperationId, reason: RefuseReason) -> Answer {
    let request = Refuse { operation, reason };
    store.refuse(&once(&operation.to_string()), request).await.expect("refuse").expect("there")
}

fn declined() -> RefuseReason {
    RefuseReason::Declined { code: "card_declined".to_owned() }
}

async fn take(store: &dyn OrderStore, operation: OperationId, driver: Driver) -> Taken {
    store.take(Take { operation, driver }).await.expect("take").expect("there")
}

async fn due(store: &dyn OrderStore, driver: Driver) -> Vec<OperationId> {
    let due = store.due(contract::orders::Due { driver, limit: 100 }).await.expect("due");
    due.into_iter().map(|checkout| checkout.operation).collect()
}

fn postpone(operation: OperationId, driver: Driver) -> Postpone {
    Postpone { operation, driver, reason: "provider: timeout".to_owned(), delay_ms: 0, attention: false }
}
