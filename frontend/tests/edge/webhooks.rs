//! Events of the payment provider: believed by their signature alone, harmless when they come twice or are none of ours.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::fake::{Call, Edge, Reply, order_id};

const SECRET: &str = "a secret of the shop and its provider";

fn event() -> Value {
    let (key, amount) = (order_id().to_string(), json!({"amount_minor": 1998, "currency": "GBP"}));
    json!({
        "id": "evt_000000000001", "type": "charge.succeeded", "created_at_ms": 1_750_000_000_123_i64,
        "charge": {"id": "ch_1", "key": key, "reference": key, "amount": amount},
    })
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

async fn post(edge: &Edge, body: Vec<u8>, signature: Option<&str>) -> Reply {
    let call = Call::new("POST", "/webhooks/provider").header("content-type", "application/json");
    let call = match signature {
        Some(signature) => call.header("webhook-signature", signature),
        None => call,
    };
    edge.send(call.body(body)).await
}

async fn signed(edge: &Edge, event: &Value) -> Reply {
    let body = event.to_string().into_bytes();
    let signature = sign(SECRET, &body);
    post(edge, body, Some(&signature)).await
}

#[tokio::test]
async fn a_signed_event_of_a_charge_reaches_logic_each_time_it_comes() {
    let edge = Edge::with_webhooks(SECRET);
    let mut grown = event();
    grown["charge"]["new_field"] = json!({"of": "theirs"});
    for event in [event(), event(), grown] {
        let reply = signed(&edge, &event).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_slice()), (204, b"".as_slice()));
    }
    let asked = edge.asked("shop.provider_event");
    assert_eq!(asked.len(), 3, "copies are not the edge's business");
    let amount = json!({"amount_minor": 1998, "currency": "GBP"});
    assert_eq!(asked[0].0, json!({"operation": order_id(), "provider_id": "ch_1", "amount": amount}));
}

#[tokio::test]
async fn nothing_unsigned_is_read() {
    let edge = Edge::with_webhooks(SECRET);
    let body = || event().to_string().into_bytes();
    let forged = sign("another secret of the same kind", &body());
    let of_another_body = sign(SECRET, b"{}");
    let bare = sign(SECRET, &body()).replace("sha256=", "");
    for signature in [None, Some(""), Some("sha256="), Some(&*forged), Some(&*of_another_body), Some(&*bare)] {
        let reply = post(&edge, body(), signature).await;
        assert_eq!(reply.problem(), (401, "bad-signature".to_owned()), "{signature:?}");
    }
    // A body that cannot be parsed shows that the signature comes first.
    assert_eq!(post(&edge, b"no json".to_vec(), Some(&forged)).await.problem().0, 401);
    assert_eq!(post(&edge, b"no json".to_vec(), Some(&sign(SECRET, b"no json"))).await.problem().0, 400);
    assert!(!edge.asked_anything());
}

#[tokio::test]
async fn what_is_not_for_us_is_taken_and_dropped_and_what_does_not_fit_is_refused() {
    let edge = Edge::with_webhooks(SECRET);
    let changed = |pointer: &str, value: Value| {
        let mut event = event();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    let other = "01900000-0000-7000-8000-000000000002";
    let dropped = [
        changed("/type", json!("charge.refunded")),
        json!({"type": "something.new"}),
        changed("/charge/reference", json!("another-shop-17")),
        changed("/charge/key", json!("another-shop-17")),
        changed("/charge/key", json!(other)),
    ];
    for event in dropped {
        assert_eq!(signed(&edge, &event).await.status, 204, "{event}");
    }
    let refused = [
        json!({"charge": {}}),
        changed("/charge", json!(null)),
        changed("/charge/id", json!("")),
        changed("/charge/id", json!("x".repeat(201))),
        changed("/charge/amount/currency", json!("XXX")),
        changed("/charge/amount/amount_minor", json!("1998")),
    ];
    for event in refused {
        assert_eq!(signed(&edge, &event).await.problem(), (422, "bad-body".to_owned()), "{event}");
    }
    assert_eq!(signed(&edge, &json!("x".repeat(16 * 1024))).await.problem(), (413, "body-too-large".to_owned()));
    assert!(!edge.asked_anything());
}

#[tokio::test]
async fn an_event_that_cannot_be_acted_on_is_sent_again_by_the_provider() {
    let edge = Edge::with_webhooks(SECRET);
    edge.cut_off();
    assert_eq!(signed(&edge, &event()).await.status, 503);
}

#[tokio::test]
async fn without_a_secret_there_is_no_such_place() {
    let edge = Edge::new();
    assert_eq!(signed(&edge, &event()).await.problem(), (404, "not-found".to_owned()));
    assert_eq!(Edge::with_webhooks(SECRET).send(Call::new("GET", "/webhooks/provider")).await.status, 405);
}
