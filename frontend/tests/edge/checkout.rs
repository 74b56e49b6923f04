//! The answers to a checkout: the table of semantics 2.3, line by line.

use serde_json::{Value, json};

use crate::fake::{Call, Edge, KEY, LIVE, Reply, order_id};

fn body(token: &str) -> Value {
    json!({"payment": {"token": token}, "expected_total": {"amount_minor": 1998, "currency": "GBP"}})
}

async fn checkout(edge: &Edge, token: &str) -> Reply {
    edge.send(Call::new("POST", "/api/checkout").bearer(LIVE).header("idempotency-key", KEY).json(&body(token))).await
}

fn path() -> String {
    format!("/api/orders/{}", order_id())
}

#[tokio::test]
async fn a_replay_is_the_same_bytes_and_says_so() {
    let edge = Edge::new();
    let (first, again) = (checkout(&edge, "tok_ok").await, checkout(&edge, "tok_again").await);
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    assert_eq!((first.header("location"), again.header("location")), (Some(path().as_str()), Some(path().as_str())));
    let money = |minor: i64| json!({"amount_minor": minor, "currency": "GBP"});
    let line = json!({
        "sku": "emma", "title": "Emma", "quantity": 2, "unit_price": money(999), "line_total": money(1998),
    });
    let address = json!({"name": "Ada", "line1": "1 Main Street", "city": "York", "postcode": "YO1", "country": "UK"});
    let order = json!({
        "id": order_id(), "state": "completed", "lines": [line], "total": money(1998), "address": address,
        "created_at": "2025-06-15T15:06:40.123Z",
    });
    assert_eq!(first.json(), order);
    let shown = edge.send(Call::new("GET", &path()).bearer(LIVE)).await;
    assert_eq!(shown.json(), order, "the order looks the same wherever it is shown");
}

#[tokio::test]
async fn every_other_answer_says_whether_a_new_key_is_safe() {
    let edge = Edge::new();
    let order = order_id().to_string();
    let table = [
        ("tok_declined", 402, "declined", Some(("declined", true)), true),
        ("tok_sold_out", 409, "out-of-stock", Some(("refused", true)), true),
        ("tok_closed", 409, "operation-abandoned", Some(("refused", true)), false),
        ("tok_too_late", 409, "operation-abandoned", Some(("refused", true)), true),
        ("tok_expired", 409, "operation-result-expired", Some(("completed", true)), false),
        ("tok_cut_off", 503, "home-site-unreachable", None, false),
        ("tok_in_progress", 409, "in-progress", Some(("accepted", true)), false),
        ("tok_claimed", 409, "cart-claimed", Some(("", true)), false),
        ("tok_changed", 409, "total-changed", None, true),
        ("tok_empty", 409, "cart-empty", None, true),
        ("tok_unpayable", 503, "payments-busy", None, true),
        ("tok_reused", 422, "key-reused", None, false),
        ("tok_shed", 503, "busy", None, false),
        ("tok_lost", 503, "outcome-unknown", None, false),
    ];
    for (token, status, slug, operation, safe_new_key) in table {
        let reply = checkout(&edge, token).await;
        assert_eq!(reply.problem(), (status, slug.to_owned()), "{token}");
        let problem = reply.json();
        assert_eq!(problem["safe_new_key"], safe_new_key, "{token}");
        assert_eq!(problem.get("operation_ref").and_then(Value::as_str), operation.map(|_| order.as_str()), "{token}");
        let state = operation.map(|(state, _)| state).filter(|state| !state.is_empty());
        assert_eq!(problem.get("operation_state").and_then(Value::as_str), state, "{token}");
        let wait_s = match slug {
            "in-progress" | "busy" | "outcome-unknown" => Some("1"),
            "payments-busy" => Some("3"),
            "home-site-unreachable" => Some("5"),
            _ => None,
        };
        assert_eq!(reply.header("retry-after"), wait_s, "{token}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("logic:1"), "inner addresses stay inside: {token}");
    }
}

#[tokio::test]
async fn a_refusal_carries_what_the_customer_must_see() {
    let edge = Edge::new();
    assert_eq!(checkout(&edge, "tok_changed").await.json()["total"], json!({"amount_minor": 2500, "currency": "GBP"}));
    assert_eq!(checkout(&edge, "tok_declined").await.json()["code"], "insufficient_funds");
    let sold_out = checkout(&edge, "tok_sold_out").await.json();
    assert_eq!((&sold_out["sku"], &sold_out["available"]), (&json!("emma"), &json!(1)));
    for token in ["tok_claimed", "tok_expired"] {
        assert_eq!(checkout(&edge, token).await.header("location"), Some(path().as_str()), "{token}");
    }
}

#[tokio::test]
async fn what_is_not_known_yet_is_202_with_a_place_to_look() {
    let reply = checkout(&Edge::new(), "tok_slow").await;
    assert_eq!(reply.status, 202);
    assert_eq!((reply.header("location"), reply.header("retry-after")), (Some(path().as_str()), Some("1")));
    let answer = reply.json();
    assert_eq!((&answer["id"], &answer["state"]), (&json!(order_id()), &json!("needs_attention")));
    assert_eq!((&answer["operation_ref"], &answer["safe_new_key"]), (&json!(order_id()), &json!(false)));
}

#[tokio::test]
async fn spelling_changes_no_fingerprint_and_any_value_does() {
    let edge = Edge::new();
    let send = async |body: &str, key: &str| {
        let call = Call::new("POST", "/api/checkout").bearer(LIVE).header("idempotency-key", key);
        let reply =
            edge.send(call.header("content-type", "application/json; charset=utf-8").body(body.to_owned())).await;
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        let (request, key) = edge.asked("shop.checkout").pop().unwrap();
        (request["fingerprint"].as_str().unwrap().to_owned(), key.unwrap())
    };
    let first = send(&body("tok_ok").to_string(), KEY).await;
    let respelled =
        r#" {"expected_total": {"currency":"GBP","amount_minor":1998}, "payment":{"token" : "tok\u005fok"}} "#;
    assert_eq!(send(respelled, &format!("\"{KEY}\"")).await, first, "quoted and bare form are one key");
    let mut other = body("tok_ok");
    other["expected_total"]["amount_minor"] = 1999.into();
    assert_ne!(send(&other.to_string(), KEY).await.0, first.0);
}

#[tokio::test]
async fn reads_know_no_key() {
    let edge = Edge::new();
    for path in ["/api/cart", "/api/orders", "/api/products", "/api/session", &path()] {
        // One that a checkout would refuse, and one that has bought something.
        for key in ["short", KEY] {
            let reply = edge.send(Call::new("GET", path).bearer(LIVE).header("idempotency-key", key)).await;
            assert_eq!((reply.status.as_u16(), reply.header("idempotency-replayed")), (200, None), "{path} {key}");
        }
    }
}
