//! Payments nodes as logic nodes call them, with a provider and, where it must fail, a store that the test commands.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on may panic, also in its helpers")]

mod failing_store;
mod fake_provider;
mod harness;

use std::{sync::Arc, time::Duration};

use contract::{
    CallError, Money, NoKey, RequestId,
    payments::{
        Attest, AttestRefusal, ChargeRefusal, ChargeStatus, CloseRefusal, Evidence, Inspect, Observe, Outlook,
        Reconcile,
    },
};
use futures_util::future::join_all;
use payments::{
    Limits, Window,
    store::{ChargeStore as _, Decision, Intent},
};
use tokio::task::JoinSet;

use fake_provider::Step;
use harness::{Harness, LIMITS, LONG_AGO_MS, charge, charged, operation, pending, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn one_id_at_once_on_two_nodes_charges_once() {
    let shop = Arc::new(Harness::start(2, LIMITS).await);
    let mut repeats = JoinSet::new();
    for _ in 0..64 {
        let shop = shop.clone();
        repeats.spawn(async move { shop.charge(&charge(1)).await });
    }
    let answers = repeats.join_all().await;
    assert_eq!(answers[0], charged("ch_1"));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(shop.provider.charges(), 1);
    let calls = shop.provider.calls();
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));
    assert_eq!(shop.provider.calls(), calls, "a known answer needs no call");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_not_known_until_the_same_key_is_sent_again() {
    let limits = Limits { provider_timeout: Duration::from_millis(50), ..LIMITS };
    let shop = Harness::start(2, limits).await;
    shop.provider.next([Step::ChargeThenHang, Step::Unknown]);
    assert!(pending(&shop.charge(&charge(1)).await).contains("no answer within 50 ms"));
    assert_eq!(shop.close(1).await, Err(CallError::Refused(CloseRefusal::MayStillHappen)));
    pending(&shop.charge(&charge(1)).await);
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));
    assert_eq!((shop.provider.charges(), shop.provider.calls()), (1, 3));
    assert_eq!(shop.close(1).await, Err(CallError::Refused(CloseRefusal::Charged)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_is_remembered_and_a_rejection_too() {
    let shop = Harness::start(1, LIMITS).await;
    shop.provider.next([Step::Decline("card_declined"), Step::Reject("bad_request")]);
    for (n, code) in [(1, "card_declined"), (2, "bad_request")] {
        for _ in 0..2 {
            assert_eq!(shop.charge(&charge(n)).await, Ok(ChargeStatus::Declined { code: code.to_owned() }));
        }
        assert_eq!(shop.close(n).await, Ok(()));
    }
    assert_eq!((shop.provider.charges(), shop.provider.calls()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_executed_is_asked_again_when_the_provider_wants() {
    let shop = Harness::start(1, LIMITS).await;
    shop.provider.next([Step::NotExecuted(Some(3_000)), Step::NotExecuted(None), Step::NotExecuted(Some(9_999_999))]);
    let retry_after_ms = async || match shop.charge(&charge(1)).await {
        Ok(ChargeStatus::Pending { retry_after_ms, .. }) => retry_after_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(retry_after_ms().await, 3_000);
    assert!((250..=1_000).contains(&retry_after_ms().await));
    assert_eq!(retry_after_ms().await, 10_000, "bounded");
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_keeps_amount_token_and_time() {
    let shop = Harness::start(1, LIMITS).await;
    shop.charge(&charge(1)).await.unwrap();
    let mut others = [charge(1), charge(1), charge(1)];
    others[0].amount = Money::gbp(1300);
    others[1].token.0 = "tok_other".to_owned();
    others[2].not_after_ms += 1;
    for other in others {
        assert_eq!(shop.charge(&other).await, Err(CallError::Refused(ChargeRefusal::IdReused)), "{other:?}");
    }
    let foreign = shop.client.call(&charge(2), RequestId::from(operation(3))).await;
    assert!(matches!(foreign, Err(CallError::NotExecuted(_))), "{foreign:?}");
    let mut nothing = charge(2);
    nothing.amount = Money::gbp(0);
    assert!(matches!(shop.charge(&nothing).await, Err(CallError::NotExecuted(_))));
    assert_eq!(shop.provider.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_checkout_is_refused() {
    let shop = Harness::start(2, LIMITS).await;
    for _ in 0..2 {
        assert_eq!(shop.close(1).await, Ok(()));
        assert_eq!(shop.charge(&charge(1)).await, Err(CallError::Refused(ChargeRefusal::Closed)));
    }
    assert_eq!(shop.provider.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_only_a_look_up_is_left() {
    let shop = Harness::start(1, LIMITS).await;
    let mut late = charge(1);
    late.not_after_ms = LONG_AGO_MS;
    let lapsed = shop.charge(&late).await;
    assert!(
        matches!(&lapsed, Ok(ChargeStatus::Lapsed { reason }) if reason.contains("no charge so far")),
        "{lapsed:?}"
    );
    shop.provider.charge_behind_our_back(operation(1));
    assert_eq!(shop.charge(&late).await, charged("ch_1"));
    assert_eq!(shop.provider.calls(), 0, "sent after the window");
    assert_eq!(shop.close(1).await, Err(CallError::Refused(CloseRefusal::Charged)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_at_once_than_permits_and_nobody_waits_past_the_deadline() {
    let shop = Arc::new(Harness::start(1, Limits { permits: 2, ..LIMITS }).await);
    shop.provider.hold();
    let mut calls = JoinSet::new();
    for n in 0..8 {
        let shop = shop.clone();
        calls.spawn(async move { shop.charge(&charge(n)).await });
    }
    wait_until(|| shop.provider.in_flight() == 2 && shop.figure("trestle_provider_permits_waiting") == 6).await;
    assert_eq!(shop.figure("trestle_provider_permits_in_use"), 2);
    let hurried = shop.charge_within(&charge(9), Duration::from_millis(200)).await;
    assert!(pending(&hurried).contains("permits"), "{hurried:?}");
    shop.provider.release();
    assert!(calls.join_all().await.into_iter().all(|answer| matches!(answer, Ok(ChargeStatus::Charged { .. }))));
    assert_eq!((shop.provider.charges(), shop.provider.max_in_flight()), (8, 2));
    // It was never begun, so it can be closed as one that never came.
    assert_eq!(shop.close(9).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_does_not_cut_between_charge_and_record() {
    let shop = Arc::new(Harness::start(1, LIMITS).await);
    shop.provider.hold();
    let mut caller = JoinSet::new();
    let leaving = shop.clone();
    caller.spawn(async move { leaving.charge(&charge(1)).await });
    wait_until(|| shop.provider.in_flight() == 1).await;
    caller.shutdown().await;
    // One that stays is told in time that nothing is known yet.
    let hurried = shop.charge_within(&charge(1), Duration::from_millis(200)).await;
    assert!(pending(&hurried).contains("has not answered yet"), "{hurried:?}");
    shop.provider.release();
    let recorded = async {
        while shop.store.look(&Intent::of(&charge(1))).await.unwrap() == payments::store::Standing::Open {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), recorded).await.expect("the charge was not recorded");
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));
    assert_eq!(shop.provider.charges(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_decision_stands_and_a_contradiction_is_counted() {
    let shop = Arc::new(Harness::start(1, LIMITS).await);
    shop.provider.hold();
    let (asking, mut caller) = (shop.clone(), JoinSet::new());
    caller.spawn(async move { asking.charge(&charge(1)).await });
    wait_until(|| shop.provider.in_flight() == 1).await;
    let declined = Decision::Declined { code: "first".to_owned() };
    shop.store.decide(&harness::once(1), &Intent::of(&charge(1)), &declined).await.unwrap();
    shop.provider.release();
    assert_eq!(caller.join_all().await, [Ok(ChargeStatus::Declined { code: "first".to_owned() })]);
    assert_eq!(shop.figure("trestle_charge_conflicts_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_paused_after_the_intent_sends_nothing() {
    let shop = Harness::start(1, LIMITS).await;
    shop.failures.pause_after_begin_ms(5_001);
    assert!(pending(&shop.charge(&charge(1)).await).contains("paused"));
    assert_eq!(shop.provider.calls(), 0);
    shop.failures.pause_after_begin_ms(-5_001);
    assert!(pending(&shop.charge(&charge(1)).await).contains("paused"), "a wall clock that was set back");
    shop.failures.pause_after_begin_ms(5_000);
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_cannot_be_recorded_is_never_called_not_executed() {
    let shop = Harness::start(1, LIMITS).await;
    shop.failures.fail_decisions(true);
    assert!(pending(&shop.charge(&charge(1)).await).contains("could not be recorded"));
    shop.failures.fail_decisions(false);
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));
    assert_eq!((shop.provider.charges(), shop.provider.calls()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_intent_on_record_nothing_is_sent() {
    let shop = Harness::start(1, LIMITS).await;
    shop.failures.fail_begins(true);
    let answer = shop.client.call(&charge(1), RequestId::from(operation(1))).await;
    assert!(matches!(answer, Err(CallError::NotExecuted(_))), "{answer:?}");
    assert_eq!(shop.provider.calls(), 0);
    shop.failures.fail_begins(false);
    assert_eq!(
        shop.client.call(&contract::payments::Close { operation: operation(1), evidence: None }, NoKey).await,
        Ok(())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_too_long_is_refused_before_anything_is_sent() {
    let window = Window { window_s: 3_600, ..LIMITS.window };
    let shop = Harness::start(1, Limits { window, ..LIMITS }).await;
    assert_eq!(shop.charge(&charge(1)).await, Err(CallError::Refused(ChargeRefusal::WindowTooLong)));
    assert_eq!(
        (shop.provider.calls(), shop.client.call(&Inspect { operation: operation(1) }, NoKey).await),
        (0, Ok(None))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_word_and_the_providers_event_decide_once() {
    let shop = Harness::start(2, LIMITS).await;
    shop.provider.next([Step::Unknown, Step::Unknown]);
    pending(&shop.charge(&charge(1)).await);
    let observe =
        |amount| Observe { operation: operation(1), provider_id: "ch_1".to_owned(), amount: Money::gbp(amount) };
    assert_eq!(shop.client.call(&observe(1), NoKey).await, Ok(false), "another amount");
    assert_eq!(shop.client.call(&observe(1299), NoKey).await, Ok(true));
    assert_eq!(shop.client.call(&observe(1299), NoKey).await, Ok(false));
    assert_eq!(shop.charge(&charge(1)).await, charged("ch_1"));

    let evidence = Evidence { operator: "ada".to_owned(), note: "seen in the console".to_owned() };
    let attest =
        |n, id: &str| Attest { operation: operation(n), provider_id: id.to_owned(), evidence: evidence.clone() };
    let refused = |why| Err(CallError::Refused(why));
    assert_eq!(shop.client.call(&attest(2, "ch_2"), NoKey).await, refused(AttestRefusal::NoIntent));
    pending(&shop.charge(&charge(2)).await);
    for _ in 0..2 {
        assert_eq!(shop.client.call(&attest(2, "ch_2"), NoKey).await, Ok(()));
    }
    assert_eq!(shop.client.call(&attest(2, "ch_3"), NoKey).await, refused(AttestRefusal::DecidedOtherwise));
    assert_eq!(shop.charge(&charge(2)).await, charged("ch_2"));
    let nameless = Attest { evidence: Evidence { operator: String::new(), note: "x".to_owned() }, ..attest(2, "ch_2") };
    assert!(matches!(shop.client.call(&nameless, NoKey).await, Err(CallError::NotExecuted(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_given_up_keeps_its_permit_until_the_provider_must_have_ended() {
    let limits = Limits { permits: 1, provider_timeout: Duration::from_millis(50), ..LIMITS };
    let shop = Harness::start(1, limits).await;
    shop.provider.next([Step::ChargeThenHang]);
    let started = tokio::time::Instant::now();
    assert!(pending(&shop.charge(&charge(1)).await).contains("no answer"));
    assert_eq!(shop.figure("trestle_provider_permits_in_use"), 1);
    let hurried = shop.charge_within(&charge(2), Duration::from_millis(200)).await;
    assert!(pending(&hurried).contains("permits"), "{hurried:?}");
    assert_eq!(shop.charge(&charge(2)).await, charged("ch_2"));
    assert!(started.elapsed() >= Duration::from_secs(1), "the provider may work on a call for a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_of_charges_leaves_a_permit_for_settling_and_says_how_long_the_wait_is() {
    let shop = Harness::start(1, Limits { permits: 25, ..LIMITS }).await;
    shop.provider.hold();
    let outlook = async || shop.client.call(&Outlook {}, NoKey).await.unwrap();
    assert_eq!(outlook().await.wait_ms, 0);
    let charges = async {
        // More than there are permits for. Those that wait are told at their deadline that nothing is known yet.
        let charges: Vec<_> = (1..=40).map(charge).collect();
        join_all(charges.iter().map(|charge| shop.charge_within(charge, Duration::from_secs(3)))).await
    };
    let looking = async {
        wait_until(|| shop.provider.in_flight() == 24 && shop.figure("trestle_provider_permits_waiting") == 16).await;
        let expected = outlook().await;
        let most_ms = expected.call_ms * 17 / 24;
        assert!((1..=most_ms).contains(&expected.wait_ms), "{expected:?}");
        let compared = shop.client.call(&Reconcile { limit: 10 }, NoKey).await;
        assert_eq!(compared, Ok(Vec::new()), "the ledgers are compared although charges wait");
        shop.provider.release();
    };
    let (outcomes, ()) = tokio::join!(charges, looking);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(ChargeStatus::Charged { .. }))), "{outcomes:?}");
    assert_eq!(shop.provider.max_in_flight(), 24);
    assert_eq!(outlook().await.wait_ms, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_too_many_gets_fewer_calls_at_once() {
    let shop = Harness::start(1, LIMITS).await;
    shop.provider.next([Step::NotExecuted(Some(250))]);
    assert!(pending(&shop.charge(&charge(1)).await).contains("rate limited"));
    shop.provider.hold();
    let charges: Vec<_> = (2..=51).map(charge).collect();
    let all = join_all(charges.iter().map(|charge| shop.charge_within(charge, Duration::from_secs(3))));
    let looking = async {
        let halved = || shop.provider.in_flight() == 25 && shop.figure("trestle_provider_permits_waiting") == 25;
        wait_until(halved).await;
        shop.provider.release();
    };
    let (outcomes, ()) = tokio::join!(all, looking);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(ChargeStatus::Charged { .. }))), "{outcomes:?}");
    assert_eq!(shop.provider.max_in_flight(), 25, "half of 50");
}
