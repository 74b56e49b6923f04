//! What a key stands for: looked up first, believed always, and never guessed.

use contract::{
    CallError, NoKey, SessionId, carts,
    carts::CartContents,
    orders::{self, Answer, Found, OrderState, Taken},
    payments::{Charge, ChargeStatus, Expected, Outlook},
    shop::{CheckoutRefusal, CheckoutReply, ShowCart},
};

use crate::script::{KEY, Script, check_out, completed, operation};

fn expired() -> Result<CheckoutReply, CallError<CheckoutRefusal>> {
    Err(CallError::Refused(CheckoutRefusal::ResultExpired { order: operation(), state: OrderState::Completed }))
}

#[tokio::test]
async fn a_cart_emptied_by_the_same_key_is_its_order_and_not_an_empty_cart() {
    for (later, expected) in [
        (
            Found::Ended(Answer::Closed { order: operation(), proven: false }),
            Ok(CheckoutReply::Ended { answer: Answer::Closed { order: operation(), proven: false }, replayed: true }),
        ),
        (Found::Nothing, Err(CallError::Refused(CheckoutRefusal::CartEmpty))),
    ] {
        let (script, client) = Script::new();
        script.instead::<carts::View>().reply::<carts::View>(CartContents { epoch: 1, lines: Vec::new() });
        let shown = client.call(&ShowCart { session: SessionId::of_token("customer") }, NoKey).await;
        assert!(shown.unwrap().lines.is_empty());
        // All but the first look at the key.
        script.reply::<orders::Find>(later);
        assert_eq!(check_out(&client).await, expected);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_claims_nothing() {
    let (script, client) = Script::new();
    script.instead::<orders::Find>().lose::<orders::Find>();
    assert!(matches!(check_out(&client).await, Err(CallError::Unknown(_))));
    script.instead::<orders::Find>().shed::<orders::Find>();
    assert!(matches!(check_out(&client).await, Err(CallError::NotExecuted(_))));
    assert_eq!(script.steps(&["carts", "catalogue", "payments"]), [""; 0]);
    assert!(script.asked::<orders::Open>().is_empty());
}

#[tokio::test]
async fn a_checkout_that_cannot_be_paid_in_time_is_refused_before_its_key_is_used() {
    let busy = |wait_ms, call_ms| {
        let (script, client) = Script::new();
        script.instead::<Outlook>().reply::<Outlook>(Expected { wait_ms, call_ms });
        script.reply::<Charge>(ChargeStatus::Charged { provider_id: "ch_1".to_owned() });
        (script, client)
    };
    for (wait_ms, call_ms, retry_after_ms) in [(2_500, 700, 1_000), (4_000, 1_000, 2_000), (60_000, 1_000, 10_000)] {
        let (script, client) = busy(wait_ms, call_ms);
        let refused = Err(CallError::Refused(CheckoutRefusal::PaymentsBusy { retry_after_ms }));
        assert_eq!(check_out(&client).await, refused, "{wait_ms} ms of waiting");
        assert!(script.asked::<orders::Open>().is_empty(), "the key is unused");
        assert_eq!(script.asked::<orders::Find>().len(), 2, "and was looked up once more before that was said");
    }
    // A short wait, or a slow provider that is free, is no reason.
    for (wait_ms, call_ms) in [(2_000, 700), (0, 9_000)] {
        let (script, client) = busy(wait_ms, call_ms);
        assert_eq!(check_out(&client).await, Ok(CheckoutReply::Ended { answer: completed(), replayed: false }));
        script.asked_once::<orders::Open>();
    }
    // Nobody knows: it may try.
    let (script, client) = busy(9_000, 9_000);
    script.instead::<Outlook>().lose::<Outlook>();
    assert!(check_out(&client).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_is_kept_no_more_is_said_to_be_and_nothing_is_done_again() {
    let found = || Found::Expired { operation: operation(), state: OrderState::Completed };
    // Found at once.
    let (script, client) = Script::new();
    script.instead::<orders::Find>().reply::<orders::Find>(found());
    assert_eq!(check_out(&client).await, expired());
    assert!(script.asked::<carts::View>().is_empty(), "before cart and prices are read");
    // Found by the claim.
    let (script, client) = Script::new();
    script.instead::<orders::Open>().reply::<orders::Open>(orders::Opened::Existing(found()));
    assert_eq!(check_out(&client).await, expired());
    assert!(script.asked::<Charge>().is_empty());
    // Expired between the look and the attempt to take it over.
    let (script, client) = Script::new();
    script.instead::<orders::Find>().reply::<orders::Find>(Found::Open { operation: operation() });
    script.reply::<orders::Take>(Taken::Expired { state: OrderState::Completed });
    assert_eq!(check_out(&client).await, expired());
    assert!(script.steps(&["payments"]).is_empty());
}

#[tokio::test]
async fn a_repeat_gets_the_stored_answer_before_anything_else_is_read() {
    let (script, client) = Script::new();
    script.instead::<orders::Find>().reply::<orders::Find>(Found::Ended(completed()));
    let reply = check_out(&client).await;
    assert_eq!(reply, Ok(CheckoutReply::Ended { answer: completed(), replayed: true }));
    assert_eq!(script.steps(&["orders", "carts", "catalogue", "payments"]), ["orders.find"]);
    assert_eq!(script.asked_once::<orders::Find>().body["key"], KEY);
}
