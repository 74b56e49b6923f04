//! The driver: what each answer to a charge makes of the checkout.

use contract::{
    CallError,
    catalogue::Reserve,
    orders::{Answer, Complete, Due, Events, OrderState, Postpone, Refuse},
    payments::{Charge, ChargeRecord, ChargeRefusal, ChargeStatus, Close, CloseRefusal, Inspect, Reconcile},
    shop::CheckoutReply,
};
use overload::Class;
use rpc::Client;
use serde_json::json;

use crate::script::{KEY, Script, check_out, completed, open_checkout, operation};

fn charged() -> ChargeStatus {
    ChargeStatus::Charged { provider_id: "ch_1".to_owned() }
}

fn lapsed() -> ChargeStatus {
    ChargeStatus::Lapsed { reason: "no charge under this reference".to_owned() }
}

fn ended(answer: Answer) -> Result<CheckoutReply, CallError<contract::shop::CheckoutRefusal>> {
    Ok(CheckoutReply::Ended { answer, replayed: false })
}

/// Checks that the checkout was handed to a person with this reason, and that nothing ended it.
async fn goes_to_a_person(script: &Script, client: &Client, reason: &str) {
    script.reply::<Postpone>(OrderState::NeedsAttention);
    let pending = CheckoutReply::Pending { order: operation(), state: OrderState::NeedsAttention };
    assert_eq!(check_out(client).await, Ok(pending));
    let postponed = script.asked_once::<Postpone>().body;
    assert_eq!((&postponed["attention"], &postponed["delay_ms"]), (&json!(true), &json!(30_000)));
    assert!(postponed["reason"].as_str().unwrap().contains(reason), "{postponed}");
    assert!(script.asked::<Complete>().is_empty() && script.asked::<Refuse>().is_empty());
}

#[tokio::test]
async fn reserve_charge_and_record_are_keyed_by_the_checkout() {
    let (script, client) = Script::new();
    script.reply::<Charge>(charged());
    assert_eq!(check_out(&client).await, ended(completed()));
    let steps = ["orders.find", "orders.open", "catalogue.products", "catalogue.reserve", "payments.charge"];
    let asked = script.steps(&["orders", "catalogue", "payments"]);
    assert!(steps.iter().all(|step| asked.iter().filter(|asked| asked == step).count() == 1), "{asked:?}");
    let key = Some(operation().to_string());
    for asked in [script.asked_once::<Reserve>(), script.asked_once::<Charge>(), script.asked_once::<Complete>()] {
        assert_eq!((&asked.body["operation"], &asked.key), (&json!(operation()), &key), "{}", asked.operation);
    }
    assert_eq!(script.asked_once::<contract::orders::Open>().key.as_deref(), Some(KEY));
    assert_eq!(script.asked_once::<Charge>().body["not_after_ms"], open_checkout().not_after_ms);
}

#[tokio::test]
async fn a_lapsed_charge_that_was_never_sent_ends_the_checkout_with_proof() {
    let (script, client) = Script::new();
    script.reply::<Charge>(lapsed());
    script.reply::<Close>(());
    let closed = Answer::Closed { order: operation(), proven: true };
    script.reply::<Refuse>(closed.clone());
    assert_eq!(check_out(&client).await, ended(closed));
    assert_eq!(script.asked_once::<Close>().body, json!({"operation": operation(), "evidence": null}));
    assert_eq!(script.asked_once::<Refuse>().body["reason"], "closed");
}

#[tokio::test]
async fn a_lapsed_charge_that_may_have_been_sent_waits_for_a_person() {
    let (script, client) = Script::new();
    script.reply::<Charge>(lapsed());
    script.refuse::<Close>(CloseRefusal::MayStillHappen);
    goes_to_a_person(&script, &client, "may have reached the provider").await;
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_charge_that_was_recorded_meanwhile_is_asked_for_again() {
    let (script, client) = Script::new();
    script.reply::<Charge>(lapsed());
    script.reply::<Charge>(charged());
    script.refuse::<Close>(CloseRefusal::Charged);
    assert_eq!(check_out(&client).await, ended(completed()));
    assert_eq!(script.asked::<Charge>().len(), 2);
}

/// A close whose answer says neither: the machine goes on trying, and nothing is refused.
#[tokio::test]
async fn a_close_whose_answer_is_lost_ends_nothing() {
    for lose in [Script::lose::<Close>, Script::shed::<Close>] {
        let (script, client) = Script::new();
        script.reply::<Charge>(lapsed());
        lose(&script);
        script.reply::<Postpone>(OrderState::Accepted);
        check_out(&client).await.unwrap();
        assert_eq!(script.asked_once::<Postpone>().body["attention"], false);
        assert!(script.asked::<Refuse>().is_empty());
    }
}

#[tokio::test]
async fn a_charge_that_was_closed_before_ends_the_checkout_only_with_proof() {
    let record = |maybe_sent, note: Option<&str>| {
        Some(ChargeRecord { status: None, attempts: 1, maybe_sent, note: note.map(str::to_owned), refund_id: None })
    };
    // Its driver died between close and refuse.
    let (script, client) = Script::new();
    script.refuse::<Charge>(ChargeRefusal::Closed);
    script.reply::<Inspect>(record(0, None));
    let closed = Answer::Closed { order: operation(), proven: true };
    script.reply::<Refuse>(closed.clone());
    assert_eq!(check_out(&client).await, ended(closed));
    // A person said so, and the orders family does not know it yet.
    for by_a_person in [record(1, Some("ada: not in the console")), record(0, Some("ada: x")), record(1, None), None] {
        let (script, client) = Script::new();
        script.refuse::<Charge>(ChargeRefusal::Closed);
        script.reply::<Inspect>(by_a_person);
        goes_to_a_person(&script, &client, "closed by a person").await;
    }
}

#[tokio::test]
async fn wrong_settings_and_defects_wait_for_a_person() {
    for (refusal, reason) in
        [(ChargeRefusal::WindowTooLong, "--charge-window-s"), (ChargeRefusal::IdReused, "another body")]
    {
        let (script, client) = Script::new();
        script.refuse::<Charge>(refusal);
        goes_to_a_person(&script, &client, reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_charge_is_neither_final_nor_a_persons_business_yet() {
    let (script, client) = Script::new();
    script.reply::<Charge>(ChargeStatus::Pending { reason: "timeout".to_owned(), retry_after_ms: 500 });
    script.reply::<Postpone>(OrderState::Accepted);
    let pending = CheckoutReply::Pending { order: operation(), state: OrderState::Accepted };
    assert_eq!(check_out(&client).await, Ok(pending));
    assert!(script.asked::<Charge>().len() > 1, "asked again while the customer waits");
    assert_eq!(script.asked_once::<Postpone>().body["attention"], false);
    assert!(script.asked::<Refuse>().is_empty());
}

/// IK-8: between charge and record there is nothing that a customer who leaves could cut.
#[tokio::test]
async fn a_client_that_hangs_up_while_it_is_charged_gets_its_order() {
    for hold in [Script::hold::<Charge>, Script::hold::<Complete>] {
        let (script, client) = Script::new();
        script.reply::<Charge>(charged());
        let go_on = hold(&script);
        tokio::select! {
            biased;
            _ = check_out(&client) => panic!("answered although it was held"),
            () = script.until_asked::<Charge>(1) => {}
        }
        // The client is gone.
        go_on.notify_one();
        script.until_asked::<Complete>(1).await;
        go_on.notify_one();
        script.until_asked::<contract::carts::Clear>(1).await;
    }
}

/// Otherwise it would stand in the lane of browsing, and wait for the provider in its places.
#[tokio::test(start_paused = true)]
async fn what_nobody_drives_is_finished_and_is_as_important_as_a_customers_checkout() {
    let (script, _client, app) = Script::with_app();
    script.reply::<Charge>(charged());
    script.reply::<Due>(vec![open_checkout()]);
    script.reply::<Due>(Vec::new());
    script.reply::<Events>(Vec::new());
    script.reply::<Reconcile>(Vec::new());
    app.start_background();
    script.until_asked::<Complete>(1).await;
    for asked in [script.asked_once::<Reserve>(), script.asked_once::<Charge>(), script.asked_once::<Complete>()] {
        assert_eq!(asked.class, Class::Critical, "{}", asked.operation);
    }
}
