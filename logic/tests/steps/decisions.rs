//! What people decide: which owner is asked first, what is recorded, and when nothing is.

use contract::{
    CallError, Money, NoKey, Outcome,
    orders::{self, AttentionDetail, AttentionItem, AttentionKind, NoItem, OrderState},
    payments::{self, Attest, AttestRefusal, Close, CloseRefusal, Refund, RefundRefusal, RefundStatus},
    shop::{Attention, Decision, Inspect, Resolve, ResolveRefusal},
};
use rpc::Client;
use serde_json::json;
use uuid::Uuid;

use crate::script::{KEY, Script, operation};

const EVIDENCE: &str = "seen in the console";

fn detail(kind: AttentionKind, state: Option<OrderState>) -> AttentionDetail {
    let id = if kind == AttentionKind::Checkout { operation().0 } else { Uuid::from_u128(5) };
    let item = AttentionItem {
        id,
        kind,
        operation: Some(operation()),
        reason: "charge: timeout".to_owned(),
        amount: Some(Money::gbp(1299)),
        since_ms: 0,
        attempts: 20,
    };
    AttentionDetail {
        item,
        state,
        created_at_ms: Some(0),
        not_after_ms: Some(3_600_000),
        attempts: Vec::new(),
        actions: Vec::new(),
    }
}

/// A script with this item.
fn with(detail: &AttentionDetail) -> (Script, Client) {
    let (script, client) = Script::new();
    script.reply::<orders::Inspect>(detail.clone());
    (script, client)
}

fn checkout(state: OrderState) -> (Script, Client) {
    with(&detail(AttentionKind::Checkout, Some(state)))
}

async fn resolve(client: &Client, id: Uuid, decision: Decision) -> Outcome<Resolve> {
    let request = Resolve { id, decision, operator: "ada".to_owned(), note: EVIDENCE.to_owned() };
    client.call(&request, KEY.parse().unwrap()).await
}

fn charged() -> Decision {
    Decision::Charged { provider_id: "ch_1".to_owned() }
}

fn not_now(outcome: Outcome<Resolve>) -> String {
    match outcome {
        Err(CallError::Refused(ResolveRefusal::NotNow(reason))) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn charged_is_attested_and_then_recorded_under_the_requests_id() {
    let (script, client) = checkout(OrderState::NeedsAttention);
    script.reply::<Attest>(());
    script.reply::<orders::Resolve>(Some(OrderState::Completed));
    assert_eq!(resolve(&client, operation().0, charged()).await, Ok(Some(OrderState::Completed)));
    assert_eq!(script.steps(&["orders", "payments"]), ["orders.inspect", "payments.attest", "orders.resolve"]);
    let evidence = json!({"operator": "ada", "note": EVIDENCE});
    let attested = json!({"operation": operation(), "provider_id": "ch_1", "evidence": evidence});
    assert_eq!(script.asked_once::<Attest>().body, attested);
    let recorded = script.asked_once::<orders::Resolve>();
    assert_eq!(recorded.key.as_deref(), Some(KEY));
    let action = json!({"charged": {"provider_id": "ch_1"}});
    let body = json!({"id": operation(), "action": action, "operator": "ada", "note": EVIDENCE});
    assert_eq!(recorded.body, body);
}

#[tokio::test]
async fn a_charge_that_contradicts_the_record_is_not_recorded() {
    for (refusal, reason) in
        [(AttestRefusal::NoIntent, "nothing was ever sent"), (AttestRefusal::DecidedOtherwise, "on record as")]
    {
        let (script, client) = checkout(OrderState::NeedsAttention);
        script.refuse::<Attest>(refusal);
        assert!(not_now(resolve(&client, operation().0, charged()).await).contains(reason));
        assert!(script.asked::<orders::Resolve>().is_empty());
    }
}

#[tokio::test]
async fn not_charged_closes_the_charge_before_the_checkout() {
    let (script, client) = checkout(OrderState::NeedsAttention);
    script.reply::<Close>(());
    script.reply::<orders::Resolve>(Some(OrderState::Refused));
    assert_eq!(resolve(&client, operation().0, Decision::NotCharged).await, Ok(Some(OrderState::Refused)));
    assert_eq!(script.steps(&["orders", "payments"]), ["orders.inspect", "payments.close", "orders.resolve"]);
    assert_eq!(script.asked_once::<Close>().body["evidence"], json!({"operator": "ada", "note": EVIDENCE}));
    assert_eq!(script.asked_once::<orders::Resolve>().body["action"], "not_charged");
    for (refusal, reason) in [
        (CloseRefusal::Charged, "money was taken"),
        (CloseRefusal::MayStillHappen, "until 1970-01-01T01:00:00Z: look again after that"),
    ] {
        let (script, client) = checkout(OrderState::NeedsAttention);
        script.refuse::<Close>(refusal);
        let said = not_now(resolve(&client, operation().0, Decision::NotCharged).await);
        assert!(said.contains(reason), "{said}");
        assert!(script.asked::<orders::Resolve>().is_empty());
    }
}

#[tokio::test]
async fn a_refund_is_paid_under_the_checkouts_id_and_then_recorded() {
    // Refunded: the same command once more, after its answer was lost.
    for state in [OrderState::Completed, OrderState::Refunded] {
        let (script, client) = checkout(state);
        script.reply::<Refund>(RefundStatus::Refunded { refund_id: "re_1".to_owned() });
        script.reply::<orders::Resolve>(Some(OrderState::Refunded));
        assert_eq!(resolve(&client, operation().0, Decision::Refund).await, Ok(Some(OrderState::Refunded)));
        let paid = script.asked_once::<Refund>();
        assert_eq!(paid.key, Some(operation().to_string()), "one refund for a checkout, whoever asks");
        assert_eq!(paid.body["amount"], json!({"amount_minor": 1299, "currency": "GBP"}));
        let action = &script.asked_once::<orders::Resolve>().body["action"];
        assert_eq!(action, &json!({"refunded": {"refund_id": "re_1"}}));
    }
}

#[tokio::test]
async fn a_refund_that_is_not_known_is_not_recorded() {
    let (script, client) = checkout(OrderState::Completed);
    script.reply::<Refund>(RefundStatus::Pending { reason: "timeout".to_owned() });
    let Err(CallError::Unknown(reason)) = resolve(&client, operation().0, Decision::Refund).await else { panic!() };
    assert!(reason.contains("ask again"), "{reason}");
    assert!(script.asked::<orders::Resolve>().is_empty());
    for refusal in [RefundRefusal::OtherAmount, RefundRefusal::Provider { code: "too_old".to_owned() }] {
        let (script, client) = checkout(OrderState::Completed);
        script.refuse::<Refund>(refusal);
        not_now(resolve(&client, operation().0, Decision::Refund).await);
        assert!(script.asked::<orders::Resolve>().is_empty());
    }
}

#[tokio::test]
async fn money_goes_back_only_where_an_order_or_no_order_took_it() {
    let mismatch = |state| (detail(AttentionKind::Mismatch, None), state);
    let refused = [
        (detail(AttentionKind::Checkout, Some(OrderState::Accepted)), None, "say `charged` first"),
        (detail(AttentionKind::Checkout, Some(OrderState::NeedsAttention)), None, "say `charged` first"),
        (detail(AttentionKind::Checkout, Some(OrderState::Declined)), None, "no money is on record"),
        (detail(AttentionKind::Event, None), None, "not its event"),
        (mismatch(0).0, Some(OrderState::Completed), "refund that"),
        (mismatch(0).0, Some(OrderState::NeedsAttention), "say `charged` first"),
    ];
    for (item, checkout_state, reason) in refused {
        let (script, client) = with(&item);
        if checkout_state.is_some() {
            script.reply::<orders::Inspect>(detail(AttentionKind::Checkout, checkout_state));
        }
        let said = not_now(resolve(&client, item.item.id, Decision::Refund).await);
        assert!(said.contains(reason), "{said}");
        assert_eq!(script.steps(&["payments"]), [""; 0], "{reason}");
    }
    // Charged though it was declined here: the money goes back, and the difference is closed by its own id.
    let (script, client) = with(&detail(AttentionKind::Mismatch, None));
    script.reply::<orders::Inspect>(detail(AttentionKind::Checkout, Some(OrderState::Declined)));
    script.reply::<Refund>(RefundStatus::Refunded { refund_id: "re_1".to_owned() });
    script.reply::<orders::Resolve>(None);
    assert_eq!(resolve(&client, Uuid::from_u128(5), Decision::Refund).await, Ok(None));
    assert_eq!(script.asked_once::<orders::Resolve>().body["id"], json!(Uuid::from_u128(5)));
}

#[tokio::test]
async fn a_difference_is_closed_without_touching_its_charge() {
    for decision in [Decision::Retry, charged(), Decision::NotCharged] {
        let (script, client) = with(&detail(AttentionKind::Mismatch, None));
        script.reply::<orders::Resolve>(None);
        assert_eq!(resolve(&client, Uuid::from_u128(5), decision).await, Ok(None));
        assert_eq!(script.steps(&["payments"]), [""; 0]);
    }
}

#[tokio::test]
async fn after_the_owner_was_asked_nothing_is_called_not_executed() {
    let (script, client) = checkout(OrderState::NeedsAttention);
    script.reply::<Attest>(());
    script.shed::<orders::Resolve>();
    assert!(matches!(resolve(&client, operation().0, charged()).await, Err(CallError::Unknown(_))));
    let (script, client) = checkout(OrderState::NeedsAttention);
    script.shed::<orders::Resolve>();
    assert!(matches!(resolve(&client, operation().0, Decision::Retry).await, Err(CallError::NotExecuted(_))));
    let (script, client) = checkout(OrderState::NeedsAttention);
    script.lose::<Attest>();
    assert!(matches!(resolve(&client, operation().0, charged()).await, Err(CallError::Unknown(_))));
    assert!(script.asked::<orders::Resolve>().is_empty());
}

#[tokio::test]
async fn a_decision_has_an_item_a_name_and_a_reason() {
    let (script, client) = Script::new();
    script.refuse::<orders::Inspect>(NoItem::NoItem);
    let unknown = resolve(&client, operation().0, Decision::Retry).await;
    assert_eq!(unknown, Err(CallError::Refused(ResolveRefusal::NoItem)));
    let (script, client) = checkout(OrderState::NeedsAttention);
    let long = "x".repeat(501);
    for (operator, note, decision) in [
        ("", EVIDENCE, Decision::Retry),
        ("ada", " ", Decision::Retry),
        ("ada", long.as_str(), Decision::Retry),
        ("ada", EVIDENCE, Decision::Charged { provider_id: String::new() }),
    ] {
        let request = Resolve { id: operation().0, decision, operator: operator.to_owned(), note: note.to_owned() };
        not_now(client.call(&request, KEY.parse().unwrap()).await);
    }
    assert_eq!(script.steps(&["orders", "payments"]), [""; 0]);
    for (state, reason) in [(Some(OrderState::Completed), "only a refund fits"), (None, "dealt with it before")] {
        let (script, client) = checkout(OrderState::Completed);
        script.refuse::<orders::Resolve>(orders::ResolveRefusal::WrongState(state));
        assert!(not_now(resolve(&client, operation().0, Decision::Retry).await).contains(reason));
    }
}

#[tokio::test]
async fn an_item_is_shown_with_what_both_owners_know() {
    let (script, client) = checkout(OrderState::NeedsAttention);
    let item = detail(AttentionKind::Checkout, None).item;
    script.reply::<orders::Attention>(vec![item.clone()]);
    assert_eq!(client.call(&Attention { limit: 7 }, NoKey).await, Ok(vec![item]));
    assert_eq!(script.asked_once::<orders::Attention>().body, json!({"limit": 7}));
    script.reply::<payments::Inspect>(None);
    let shown = client.call(&Inspect { id: operation().0 }, NoKey).await.unwrap();
    assert_eq!(shown.proven, ["Proven: nothing was ever sent to the provider for this checkout."]);
    assert_eq!(script.asked_once::<payments::Inspect>().body, json!({"operation": operation()}));
    // A reference that is none of ours has no record at payments.
    let mut foreign = detail(AttentionKind::Mismatch, None);
    foreign.item.operation = None;
    let (script, client) = with(&foreign);
    let shown = client.call(&Inspect { id: foreign.item.id }, NoKey).await.unwrap();
    assert_eq!((shown.charge, shown.proven.len()), (None, 1));
    assert!(script.steps(&["payments"]).is_empty());
}
