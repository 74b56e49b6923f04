//! What a back end of the charges must do, as a suite: each back end runs it unchanged, and a new one is right when it
//! passes.
#![expect(clippy::unwrap_used, reason = "a suite's verdict is a panic")]

use std::sync::Arc;

use contract::{
    ExactlyOnce, Fingerprint, Money, Once, OperationId, RequestId, Strategy as _,
    payments::{Charge, CloseRefusal, PaymentToken},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::store::{Begin, Decision, Intent, PaymentStore, Standing};

mod evidence;
mod shares;

/// The year 2096, in Unix milliseconds; far enough for "not yet".
const LATER_MS: i64 = 4_000_000_000_000;
/// So that the year 2096 is not too far ahead.
const AHEAD_MAX_MS: i64 = 4_000_000_000_000;
/// The year 2001: "long ago".
const LONG_AGO_MS: i64 = 1_000_000_000_000;

/// Runs the suite. `make` opens a new, empty store each time.
///
/// # Panics
/// When the store breaks one of its promises.
pub async fn suite(make: impl AsyncFn() -> Arc<dyn PaymentStore>) {
    the_first_decision_stands(&*make().await).await;
    an_id_keeps_its_meaning(&*make().await).await;
    a_closed_checkout_is_never_sent(&*make().await).await;
    what_may_have_been_sent_cannot_be_closed(&*make().await).await;
    after_the_window_nothing_is_sent(&*make().await).await;
    a_rejection_decides_only_alone(&*make().await).await;
    decisions_that_race_agree(make().await).await;
    a_send_and_a_close_never_both_win(make().await).await;
    a_window_is_not_too_long(&*make().await).await;
    evidence::suite(&make).await;
    shares::suite(&make).await;
}

async fn the_first_decision_stands(store: &dyn PaymentStore) {
    let intent = intent(1, LATER_MS);
    assert_eq!(store.look(&intent).await.unwrap(), Standing::Open);
    assert_eq!(begin(store, &intent).await, Begin::Send);
    assert_eq!(store.look(&intent).await.unwrap(), Standing::Open);
    assert_eq!(begin(store, &intent).await, Begin::Send, "unknown so far: the same key may be sent again");
    for _ in 0..2 {
        assert_eq!(decide(store, &intent, &charged("ch_1")).await, Standing::Decided(charged("ch_1")));
        assert_eq!(begin(store, &intent).await, Begin::Stands(Standing::Decided(charged("ch_1"))));
    }
    for late in [declined("card_declined"), charged("ch_2")] {
        assert_eq!(decide(store, &intent, &late).await, Standing::Decided(charged("ch_1")));
    }
    assert_eq!(store.look(&intent).await.unwrap(), Standing::Decided(charged("ch_1")));
    assert_eq!(store.close(intent.operation, None).await.unwrap(), Err(CloseRefusal::Charged));
}

async fn an_id_keeps_its_meaning(store: &dyn PaymentStore) {
    let first = intent(1, LATER_MS);
    assert_eq!(begin(store, &first).await, Begin::Send);
    let others = [
        Intent { amount: Money::gbp(1300), ..first.clone() },
        Intent { token_hash: Fingerprint::of(b"another"), ..first.clone() },
        Intent { not_after_ms: LATER_MS + 1, ..first.clone() },
    ];
    for round in 0..2 {
        for other in &others {
            assert_eq!(store.look(other).await.unwrap(), Standing::OtherIntent);
            assert_eq!(begin(store, other).await, Begin::Stands(Standing::OtherIntent));
        }
        if round == 0 {
            assert_eq!(decide(store, &first, &declined("no")).await, Standing::Decided(declined("no")));
        }
    }
    assert_eq!(store.look(&first).await.unwrap(), Standing::Decided(declined("no")));
    assert_eq!(store.look(&intent(2, LATER_MS)).await.unwrap(), Standing::Open, "another checkout");
}

async fn a_closed_checkout_is_never_sent(store: &dyn PaymentStore) {
    let unseen = intent(1, LATER_MS);
    for _ in 0..2 {
        assert_eq!(store.close(unseen.operation, None).await.unwrap(), Ok(()));
        assert_eq!(begin(store, &unseen).await, Begin::Stands(Standing::Closed));
        assert_eq!(store.look(&unseen).await.unwrap(), Standing::Closed);
    }
    let refused = intent(2, LATER_MS);
    begin(store, &refused).await;
    decide(store, &refused, &declined("card_declined")).await;
    assert_eq!(store.close(refused.operation, None).await.unwrap(), Ok(()), "a decline is as good as closed");
    assert_eq!(store.look(&refused).await.unwrap(), Standing::Decided(declined("card_declined")));
    // Money that was taken although the checkout is closed must not vanish from sight.
    assert_eq!(decide(store, &unseen, &charged("ch_1")).await, Standing::Closed);
}

async fn what_may_have_been_sent_cannot_be_closed(store: &dyn PaymentStore) {
    let still_open = intent(1, LATER_MS);
    begin(store, &still_open).await;
    assert_eq!(store.close(still_open.operation, None).await.unwrap(), Err(CloseRefusal::MayStillHappen));
    not_sent(store, &still_open).await;
    assert_eq!(
        store.close(still_open.operation, None).await.unwrap(),
        Err(CloseRefusal::MayStillHappen),
        "the window is open"
    );

    let (maybe, never) = (short_window(store, 2).await, short_window(store, 3).await);
    not_sent(store, &never).await;
    not_sent(store, &maybe).await;
    begin_again_would_be_late(store, &never).await;
    assert_eq!(store.close(never.operation, None).await.unwrap(), Ok(()), "proved: none of its attempts was sent");
    assert_eq!(store.look(&never).await.unwrap(), Standing::Closed);
    assert_eq!(store.close(maybe.operation, None).await.unwrap(), Err(CloseRefusal::MayStillHappen));
    assert_eq!(decide(store, &maybe, &charged("ch_2")).await, Standing::Decided(charged("ch_2")));
}

/// An intent whose window was open for two attempts (one only for checkout 3) and is over now.
async fn short_window(store: &dyn PaymentStore, n: u128) -> Intent {
    // Long enough for two writes on a busy disk; `begin_again_would_be_late` waits for it to pass.
    let intent = intent(n, now_ms() + 1_000);
    for _ in 0..if n == 3 { 1 } else { 2 } {
        assert_eq!(begin(store, &intent).await, Begin::Send);
    }
    intent
}

async fn begin_again_would_be_late(store: &dyn PaymentStore, intent: &Intent) {
    while begin(store, intent).await == Begin::Send {
        not_sent(store, intent).await;
    }
    assert_eq!(begin(store, intent).await, Begin::WindowOver);
}

async fn after_the_window_nothing_is_sent(store: &dyn PaymentStore) {
    let late = intent(1, LONG_AGO_MS);
    assert_eq!(begin(store, &late).await, Begin::WindowOver);
    assert_eq!(store.look(&late).await.unwrap(), Standing::Open);
    assert_eq!(decide(store, &late, &charged("ch_1")).await, Standing::Decided(charged("ch_1")), "a look-up found it");
    let unsent = intent(2, LONG_AGO_MS);
    assert_eq!(begin(store, &unsent).await, Begin::WindowOver);
    assert_eq!(store.close(unsent.operation, None).await.unwrap(), Ok(()), "nothing was ever sent");
}

async fn a_window_is_not_too_long(store: &dyn PaymentStore) {
    let begin = async |intent: &Intent, ahead_max_ms| store.begin(&once(intent), intent, ahead_max_ms).await.unwrap();
    let far = intent(1, now_ms() + 100_000);
    assert_eq!(begin(&far, 50_000).await, Begin::WindowTooLong);
    assert_eq!(store.look(&far).await.unwrap(), Standing::Open);
    assert_eq!(store.inspect(far.operation).await.unwrap(), None, "nothing is left of it");
    assert_eq!(begin(&far, 200_000).await, Begin::Send);
    assert_eq!(begin(&far, 50_000).await, Begin::Send, "what may have been sent is never refused");
}

async fn a_rejection_decides_only_alone(store: &dyn PaymentStore) {
    let alone = intent(1, LATER_MS);
    begin(store, &alone).await;
    for _ in 0..2 {
        assert_eq!(reject(store, &alone).await, Standing::Decided(declined("bad_request")));
    }
    let second = intent(2, LATER_MS);
    begin(store, &second).await;
    begin(store, &second).await;
    assert_eq!(reject(store, &second).await, Standing::Open, "the first attempt may have been taken");
    assert_eq!(decide(store, &second, &charged("ch_2")).await, Standing::Decided(charged("ch_2")));
}

async fn decisions_that_race_agree(store: Arc<dyn PaymentStore>) {
    let intent = intent(1, LATER_MS);
    begin(&*store, &intent).await;
    let mut tries = JoinSet::new();
    for n in 0..32 {
        let (store, intent) = (store.clone(), intent.clone());
        tries.spawn(async move {
            begin(&*store, &intent).await;
            decide(&*store, &intent, &charged(&format!("ch_{n}"))).await
        });
    }
    let answers = tries.join_all().await;
    assert!(matches!(answers[0], Standing::Decided(Decision::Charged { .. })));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn a_send_and_a_close_never_both_win(store: Arc<dyn PaymentStore>) {
    for n in 0..20 {
        let intent = intent(n, LATER_MS);
        let (sender, operation) = (store.clone(), intent.operation);
        let mut race = JoinSet::new();
        race.spawn(async move { begin(&*sender, &intent).await == Begin::Send });
        let closer = store.clone();
        race.spawn(async move { closer.close(operation, None).await.unwrap().is_ok() });
        let won = race.join_all().await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "checkout {n}: {won:?}");
    }
}

async fn begin(store: &dyn PaymentStore, intent: &Intent) -> Begin {
    store.begin(&once(intent), intent, AHEAD_MAX_MS).await.unwrap()
}

async fn decide(store: &dyn PaymentStore, intent: &Intent, decision: &Decision) -> Standing {
    store.decide(&once(intent), intent, decision).await.unwrap()
}

async fn reject(store: &dyn PaymentStore, intent: &Intent) -> Standing {
    store.reject(&once(intent), intent, "bad_request").await.unwrap()
}

async fn not_sent(store: &dyn PaymentStore, intent: &Intent) {
    store.not_sent(&once(intent), intent.operation).await.unwrap();
}

fn charged(id: &str) -> Decision {
    Decision::Charged { provider_id: id.to_owned() }
}

fn declined(code: &str) -> Decision {
    Decision::Declined { code: code.to_owned() }
}

fn intent(n: u128, not_after_ms: i64) -> Intent {
    let operation = OperationId(Uuid::from_u128(n));
    Intent::of(&Charge { operation, amount: Money::gbp(1299), token: PaymentToken("tok_ok".to_owned()), not_after_ms })
}

fn now_ms() -> i64 {
    runtime::Seams::system().now_ms()
}

#[expect(clippy::disallowed_methods, reason = "the suite stands where the server stands: it calls a store")]
fn once(intent: &Intent) -> Once {
    ExactlyOnce::permit(RequestId::from(intent.operation), b"body")
}
