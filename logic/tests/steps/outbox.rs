//! The outbox: what is delivered by which call, and which events are forgotten after it.

use contract::{
    CallError, CartId, EventId, NoKey, OpId, Operation, OperationId,
    carts::Clear,
    catalogue::{EndRefusal, Settle},
    orders::{Ack, Due, Event, EventKind, Events},
    payments::{Charge, ChargeStatus, Observe, Reconcile},
    shop::ProviderEvent,
};
use serde_json::json;
use uuid::Uuid;

use crate::script::{Script, check_out, open_checkout, operation};

fn op(n: u128) -> OperationId {
    OperationId(Uuid::from_u128(n))
}

fn event(n: u128, operation: OperationId, kind: EventKind) -> Event {
    Event { id: EventId(Uuid::from_u128(n)), operation, kind }
}

fn settle(n: u128) -> Event {
    event(100 + n, op(n), EventKind::SettleStock)
}

/// What was forgotten after one batch of these events.
async fn acknowledged(script: &Script, app: &logic::App, events: Vec<Event>) -> Vec<u128> {
    script.reply::<Due>(Vec::new());
    script.reply::<Reconcile>(Vec::new());
    script.reply::<Events>(events);
    script.reply::<Events>(Vec::new());
    script.reply::<Ack>(());
    app.start_background();
    script.until_asked::<Ack>(1).await;
    let ids: Vec<EventId> = serde_json::from_value(script.asked_once::<Ack>().body["ids"].clone()).unwrap();
    let mut ids: Vec<u128> = ids.into_iter().map(|id| id.0.as_u128()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(start_paused = true)]
async fn stock_is_settled_by_one_call_and_who_is_refused_holds_up_nobody() {
    let (script, _client, app) = Script::with_app();
    script.reply::<Settle>(vec![(op(2), EndRefusal::NotReserved)]);
    let forgotten = acknowledged(&script, &app, vec![settle(1), settle(2), settle(3)]).await;
    assert_eq!(forgotten, [101, 103]);
    assert_eq!(script.asked_once::<Settle>().body, json!({"operations": [op(1), op(2), op(3)]}));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_as_a_whole_is_settled_one_by_one() {
    let (script, _client, app) = Script::with_app();
    script.lose::<Settle>();
    script.reply::<Settle>(Vec::new());
    script.shed::<Settle>();
    script.reply::<Settle>(Vec::new());
    let forgotten = acknowledged(&script, &app, vec![settle(1), settle(2), settle(3)]).await;
    assert_eq!(forgotten, [101, 103], "the second one's own call failed");
    let asked: Vec<_> = script.asked::<Settle>().into_iter().map(|asked| asked.body["operations"].clone()).collect();
    let alone = |n| json!([op(n)]);
    assert_eq!(asked, [json!([op(1), op(2), op(3)]), alone(1), alone(2), alone(3)]);
}

/// Only what this node's own driver was told counts as done: another node's event is delivered.
#[tokio::test(start_paused = true)]
async fn a_cart_that_its_driver_cleared_is_not_cleared_again() {
    for driver_was_told in [true, false] {
        let (script, client, app) = Script::with_app();
        script.reply::<Charge>(ChargeStatus::Charged { provider_id: "ch_1".to_owned() });
        if !driver_was_told {
            script.instead::<Clear>().lose::<Clear>();
            script.reply::<Clear>(contract::carts::CartContents { epoch: 2, lines: Vec::new() });
        }
        check_out(&client).await.unwrap();
        assert_eq!(script.asked::<Clear>().len(), 1);
        let clear = |cart: CartId| EventKind::ClearCart { cart, epoch: 0, ops: vec![OpId::new(cart, "the-add")] };
        let (own, foreign) = (open_checkout().snapshot.cart, CartId(Uuid::from_u128(99)));
        let events = vec![event(1, operation(), clear(own)), event(2, op(5), clear(foreign))];
        assert_eq!(acknowledged(&script, &app, events).await, [1, 2]);
        let carts: Vec<_> = script.asked::<Clear>().into_iter().map(|asked| asked.body["cart"].clone()).collect();
        let cleared = if driver_was_told { vec![own, foreign] } else { vec![own, own, foreign] };
        assert_eq!(carts, cleared.into_iter().map(|cart| json!(cart)).collect::<Vec<_>>());
    }
}

/// It is due as it is. Afterwards an event is passed on, as one of another node's checkout is.
#[tokio::test(start_paused = true)]
async fn a_checkout_that_is_driven_here_is_not_hurried() {
    let (script, client) = Script::new();
    let answer_charge = script.hold::<Charge>();
    script.reply::<Charge>(ChargeStatus::Charged { provider_id: "ch_1".to_owned() });
    script.reply::<Observe>(false);
    script.reply::<contract::orders::Nudge>(());
    let tell = async |operation| {
        let event = ProviderEvent { operation, ..ProviderEvent::example() };
        let told: Result<(), CallError<_>> = client.call(&event, NoKey).await;
        told.unwrap();
        script.asked::<contract::orders::Nudge>().len()
    };
    let meanwhile = async {
        script.until_asked::<Charge>(1).await;
        assert_eq!(tell(operation()).await, 0, "its driver is at it");
        assert_eq!(tell(op(5)).await, 1, "this one's is not here");
        answer_charge.notify_one();
    };
    let (bought, ()) = tokio::join!(check_out(&client), meanwhile);
    bought.unwrap();
    assert_eq!(tell(operation()).await, 2, "nobody drives it here any more");
}
