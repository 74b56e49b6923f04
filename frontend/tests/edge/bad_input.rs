//! Whatever a client sends, it gets a problem document that says what is wrong, and nothing is logged as an error.

use std::cell::Cell;

use serde_json::{Value, json};
use tracing_subscriber::{Layer, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::fake::{Call, Edge, KEY, LIVE, OVER};

const OTHER_ORDER: &str = "/api/orders/01900000-0000-7000-8000-00000000dead";

thread_local! {
    static ALARMS: Cell<u32> = const { Cell::new(0) };
}

/// Counts what an operator would be woken by, for each thread and thus for each test. Installed for the whole process: a
/// subscriber of one thread is deaf to lines that another thread came by first, since their interest is cached.
struct Alarms;

impl<S: tracing::Subscriber> Layer<S> for Alarms {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::WARN {
            ALARMS.set(ALARMS.get() + 1);
        }
    }
}

fn add(body: &Value) -> Call {
    Call::new("POST", "/api/cart/lines").bearer(LIVE).json(body)
}

fn raw(body: impl Into<axum::body::Body>) -> Call {
    Call::new("POST", "/api/cart/lines").bearer(LIVE).header("content-type", "application/json").body(body)
}

fn form(body: &'static str) -> Call {
    Call::new("POST", "/api/cart/lines")
        .bearer(LIVE)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

fn checkout(body: &Value) -> Call {
    Call::new("POST", "/api/checkout").bearer(LIVE).header("idempotency-key", KEY).json(body)
}

fn paid(token: &str) -> Value {
    json!({"payment": {"token": token}, "expected_total": {"amount_minor": 1998, "currency": "GBP"}})
}

fn with_address(field: &str, text: &str) -> Value {
    let mut body = paid("tok_ok");
    body["address"] = json!({"name": "Ada", "line1": "1 Main", "city": "York", "postcode": "YO1", "country": "UK"});
    body["address"][field] = text.into();
    body
}

fn bodies() -> Vec<(u16, &'static str, Call)> {
    let deep = [vec![b'['; 30_000], vec![b']'; 30_000]].concat();
    vec![
        (400, "bad-json", raw("{\"sku\": \"emma\",")),
        (400, "bad-json", raw("")),
        (400, "bad-json", raw(&b"{\"sku\":\"\xff\xfe\",\"quantity\":1}"[..])),
        (400, "bad-json", raw(deep)),
        (400, "bad-json", raw(r#"{"sku":"emma","quantity":1,"quantity":9}"#)),
        (413, "body-too-large", raw(vec![b' '; 1024 * 1024])),
        (413, "body-too-large", raw(vec![b' '; 8 * 1024 * 1024])),
        (415, "not-json", Call::new("POST", "/api/cart/lines").bearer(LIVE).body(r#"{"sku":"emma","quantity":1}"#)),
        (415, "not-json", form("sku=emma&quantity=1")),
        (415, "not-json", Call::new("POST", "/api/session").body("email=a")),
        (422, "bad-body", add(&json!({"sku": "emma", "quantity": 1, "price": 1}))),
        (422, "bad-body", add(&json!({"sku": "emma"}))),
        (422, "bad-body", add(&json!({"sku": "emma", "quantity": "2"}))),
        (422, "bad-body", add(&json!({"sku": "emma", "quantity": 1e18}))),
        (422, "bad-body", add(&json!([]))),
        (422, "bad-body", checkout(&json!({"payment": {"token": "tok_ok"}}))),
        (
            422,
            "bad-body",
            checkout(
                &json!({"payment": {"token": "tok_ok"}, "expected_total": {"amount_minor": 1, "currency": "XXX"}}),
            ),
        ),
    ]
}

fn contents() -> Vec<(u16, &'static str, Call)> {
    let credentials = |email: &str, password: &str| {
        Call::new("POST", "/api/accounts").json(&json!({"email": email, "password": password}))
    };
    vec![
        (422, "bad-quantity", add(&json!({"sku": "emma", "quantity": 0}))),
        (422, "bad-quantity", add(&json!({"sku": "emma", "quantity": 1000}))),
        (422, "bad-quantity", add(&json!({"sku": "emma", "quantity": 1_000_000_000}))),
        (422, "bad-quantity", Call::new("PUT", "/api/cart/lines/emma").bearer(LIVE).json(&json!({"quantity": 0}))),
        (404, "unknown-sku", add(&json!({"sku": "not-there", "quantity": 1}))),
        (404, "unknown-sku", add(&json!({"sku": "NOT A SKU", "quantity": 1}))),
        (404, "unknown-sku", Call::new("GET", "/api/products/not-there")),
        (404, "unknown-sku", Call::new("GET", "/api/products/NOT%20A%20SKU")),
        (404, "unknown-sku", Call::new("DELETE", "/api/cart/lines/x").bearer(LIVE)),
        (409, "cart-full", add(&json!({"sku": "full-cart", "quantity": 1}))),
        (422, "key-reused", add(&json!({"sku": "reused-key", "quantity": 1}))),
        (422, "bad-email", credentials("nobody", "long enough")),
        (422, "bad-password", credentials("ada@example.org", "short")),
        (422, "bad-password", credentials("ada@example.org", &"x".repeat(129))),
        (409, "email-taken", credentials("Taken@Example.org", "long enough")),
        (422, "bad-payment-token", checkout(&paid("no"))),
        (422, "bad-payment-token", checkout(&paid("tok-dash"))),
        (422, "bad-payment-token", checkout(&paid(&"t".repeat(65)))),
        (422, "bad-address", checkout(&with_address("city", ""))),
        (422, "bad-address", checkout(&with_address("line2", &"x".repeat(201)))),
        (422, "bad-body", checkout(&with_address("planet", "Earth"))),
    ]
}

fn requests() -> Vec<(u16, &'static str, Call)> {
    let keyed = |key: &str| {
        Call::new("POST", "/api/checkout").bearer(LIVE).header("idempotency-key", key).json(&paid("tok_ok"))
    };
    vec![
        (400, "key-missing", Call::new("POST", "/api/checkout").bearer(LIVE).json(&paid("tok_ok"))),
        (400, "key-malformed", keyed(&"k".repeat(300))),
        (400, "key-malformed", keyed("short")),
        (400, "key-malformed", keyed("0123456789abcdef, 0123456789abcdeg")),
        (400, "key-malformed", keyed(KEY).header("idempotency-key", KEY)),
        (400, "key-malformed", add(&json!({"sku": "emma", "quantity": 1})).header("idempotency-key", "short")),
        (401, "unauthenticated", Call::new("GET", "/api/cart")),
        (401, "unauthenticated", Call::new("GET", "/api/cart").bearer("not-a-token")),
        (401, "unauthenticated", Call::new("GET", "/api/cart").cookie("not-a-token")),
        (401, "unauthenticated", Call::new("GET", "/api/cart").header("authorization", "Basic YTpi").cookie(LIVE)),
        (401, "unauthenticated", Call::new("GET", "/api/cart").bearer(OVER)),
        (401, "unauthenticated", Call::new("GET", "/api/session").bearer(OVER)),
        (401, "unauthenticated", Call::new("DELETE", "/api/session")),
        (401, "unauthenticated", Call::new("GET", "/api/orders")),
        // The session is checked before the body is looked at (IK-5).
        (401, "unauthenticated", Call::new("POST", "/api/checkout").body("{")),
        (404, "unknown-order", Call::new("GET", OTHER_ORDER).bearer(LIVE)),
        (404, "unknown-order", Call::new("GET", "/api/orders/7").bearer(LIVE)),
        (422, "bad-query", Call::new("GET", "/api/products?limit=0")),
        (422, "bad-query", Call::new("GET", "/api/products?limit=101")),
        (422, "bad-query", Call::new("GET", "/api/products?limit=many")),
        (422, "bad-query", Call::new("GET", "/api/products?after=nonsense")),
        (422, "bad-query", Call::new("GET", &format!("/api/products?q={}", "x".repeat(101)))),
        (422, "bad-query", Call::new("GET", "/api/products?q=a&q=b")),
        (422, "bad-query", Call::new("GET", "/api/orders?after=nonsense").bearer(LIVE)),
        (400, "bad-path", Call::new("GET", "/api/products/%ff")),
        (404, "not-found", Call::new("GET", "/api/nothing")),
        (405, "method-not-allowed", Call::new("PATCH", "/api/cart")),
        (405, "method-not-allowed", Call::new("POST", "/api/openapi.json")),
    ]
}

#[tokio::test]
async fn every_mistake_is_a_problem_and_none_an_alarm() {
    tracing_subscriber::registry().with(Alarms).init();
    let edge = Edge::new();
    for (status, slug, call) in bodies().into_iter().chain(contents()).chain(requests()) {
        let shown = format!("{call:?}");
        let reply = edge.send(call).await;
        assert_eq!(reply.problem(), (status, slug.to_owned()), "{shown}: {}", String::from_utf8_lossy(&reply.body));
        assert!(reply.headers.contains_key("x-trace-id"), "{shown}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{shown}");
    }
    assert!(edge.asked("shop.checkout").is_empty(), "no bad checkout may reach logic");
    assert_eq!(ALARMS.get(), 0, "bad input is no reason to wake anybody");
    edge.send(checkout(&paid("tok_lost"))).await;
    assert_eq!(ALARMS.get(), 1, "a lost answer is one line, and the counter hears it");
}

#[tokio::test]
async fn a_refusal_says_how_to_do_it_right() {
    let edge = Edge::new();
    let reply = edge.send(Call::new("PATCH", "/api/cart")).await;
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    let reply = edge.send(Call::new("GET", "/api/cart")).await;
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    let reply = edge.send(add(&json!({"sku": "emma", "quantity": "4111111111111111"}))).await;
    let detail = reply.json()["detail"].to_string();
    assert!(detail.contains("quantity: expected u32") && !detail.contains("4111"), "{detail}");
}

#[tokio::test]
async fn a_page_that_does_not_exist_is_a_page() {
    let reply = Edge::new().send(Call::new("GET", "/nothing")).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
}
