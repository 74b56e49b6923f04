//! What a key stands for: looked up first, believed always, and never guessed.

use contract::{
    CallError, NoKey, SessionId, carts,
    carts::CartContents,
    orders::{self, Answer, Found, OrderState, Taken},
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
    assert!(script.steps(&["payments"]).is_empty());
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
