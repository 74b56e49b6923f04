//! What the provider says by itself: its events, and its ledger compared with ours.

use contract::{
    CallError, Money, NoKey,
    orders::{Due, Events, Flag, Nudge},
    payments::{self, Mismatch, Observe},
    shop::{ProviderEvent, Reconcile},
};
use serde_json::json;
use uuid::Uuid;

use crate::script::{Script, operation};

fn event() -> ProviderEvent {
    ProviderEvent { operation: operation(), provider_id: "ch_1".to_owned(), amount: Money::gbp(1299) }
}

fn mismatches(count: u128) -> Vec<Mismatch> {
    let mismatch = |n| Mismatch {
        id: Uuid::from_u128(n),
        operation: Some(operation()),
        reason: "the provider has a charge that is not recorded".to_owned(),
        amount: Some(Money::gbp(1299)),
    };
    (0..count).map(mismatch).collect()
}

#[tokio::test]
async fn an_event_is_observed_and_then_its_checkout_is_due_whether_or_not_it_was_news() {
    for news in [true, false] {
        let (script, client) = Script::new();
        script.reply::<Observe>(news);
        script.reply::<Nudge>(());
        assert_eq!(client.call(&event(), NoKey).await, Ok(()));
        assert_eq!(script.steps(&["orders", "payments"]), ["payments.observe", "orders.nudge"]);
        let amount = json!({"amount_minor": 1299, "currency": "GBP"});
        let observed = json!({"operation": operation(), "provider_id": "ch_1", "amount": amount});
        assert_eq!(script.asked_once::<Observe>().body, observed);
    }
}

#[tokio::test]
async fn an_event_that_is_not_recorded_nudges_nobody() {
    let (script, client) = Script::new();
    script.lose::<Observe>();
    assert!(matches!(client.call(&event(), NoKey).await, Err(CallError::Unknown(_))));
    assert!(script.asked::<Nudge>().is_empty());
    let (script, client) = Script::new();
    script.reply::<Observe>(true);
    script.shed::<Nudge>();
    assert!(matches!(client.call(&event(), NoKey).await, Err(CallError::Unknown(_))), "it was recorded");
}

#[tokio::test]
async fn each_difference_becomes_an_item_and_a_round_that_broke_off_says_so() {
    let (script, client) = Script::new();
    script.reply::<payments::Reconcile>(mismatches(40));
    script.reply::<Flag>(());
    assert_eq!(client.call(&Reconcile {}, NoKey).await, Ok(40));
    let flagged: Vec<_> = script.asked::<Flag>().into_iter().map(|asked| asked.body["id"].clone()).collect();
    assert_eq!(flagged, mismatches(40).iter().map(|mismatch| json!(mismatch.id)).collect::<Vec<_>>());
    let (script, client) = Script::new();
    script.reply::<payments::Reconcile>(mismatches(2));
    script.shed::<Flag>();
    assert!(matches!(client.call(&Reconcile {}, NoKey).await, Err(CallError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn a_node_compares_by_itself_again_and_again_also_after_a_failure() {
    let (script, _client, app) = Script::with_app();
    script.reply::<Due>(Vec::new());
    script.reply::<Events>(Vec::new());
    script.lose::<payments::Reconcile>();
    script.reply::<payments::Reconcile>(mismatches(1));
    script.reply::<Flag>(());
    app.start_background();
    script.until_asked::<Flag>(2).await;
    assert!(script.asked::<payments::Reconcile>().len() >= 3);
}
