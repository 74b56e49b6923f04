//! Bad input against the real shop: the right problem document, nothing changed, nothing logged as an error.

use reqwest::Method;
use serde_json::json;

use crate::{
    cluster::Shop,
    customer::{Answer, Customer},
};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_problem_and_changes_nothing() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    customer.add("emma", 1).await;
    let before = customer.get("/api/cart").await;
    let lines = |body: &str| {
        let request = shop.http.post(shop.url(1, "/api/cart/lines")).bearer_auth(&customer.token);
        request.header("content-type", "application/json").body(body.to_owned())
    };
    let checkout = |key: &str| {
        let body = json!({"payment": {"token": "tok_ok"}, "expected_total": before["total"]});
        let request = shop.http.post(shop.url(2, "/api/checkout")).bearer_auth(&customer.token).json(&body);
        if key.is_empty() { request } else { request.header("idempotency-key", key) }
    };
    let cases = [
        ("broken JSON", lines("{\"sku\":"), 400),
        ("unknown field", lines(r#"{"sku":"emma","quantity":1,"price":0}"#), 400),
        ("unknown sku", lines(r#"{"sku":"no-such-book","quantity":1}"#), 404),
        ("malformed sku", lines(r#"{"sku":"../../etc/passwd","quantity":1}"#), 404),
        ("quantity 0", lines(r#"{"sku":"emma","quantity":0}"#), 422),
        ("quantity 10^9", lines(r#"{"sku":"emma","quantity":1000000000}"#), 422),
        ("negative quantity", lines(r#"{"sku":"emma","quantity":-1}"#), 422),
        ("1 MB body", lines(&format!(r#"{{"sku":"{}","quantity":1}}"#, "x".repeat(1 << 20))), 413),
        ("300-character key", lines(r#"{"sku":"emma","quantity":1}"#).header("idempotency-key", "k".repeat(300)), 400),
        ("checkout without key", checkout(""), 400),
        ("checkout with a 300-character key", checkout(&"k".repeat(300)), 400),
        ("checkout with a short key", checkout("short"), 400),
        ("wrong token", shop.http.get(shop.url(1, "/api/cart")).bearer_auth("f".repeat(64)), 401),
        ("nonsense token", shop.http.get(shop.url(1, "/api/cart")).bearer_auth("x y z"), 401),
        ("no session", shop.http.get(shop.url(1, "/api/orders")), 401),
        ("nonsense order", shop.http.get(shop.url(1, "/api/orders/not-an-id")).bearer_auth(&customer.token), 404),
        ("limit 1000", shop.http.get(shop.url(1, "/api/products?limit=1000")), 422),
        ("nonsense cursor", shop.http.get(shop.url(1, "/api/products?after=%00%ff")), 400),
        ("no such route", shop.http.get(shop.url(1, "/api/no-such-thing")), 404),
        ("wrong method", shop.http.request(Method::PATCH, shop.url(1, "/api/cart")).bearer_auth(&customer.token), 405),
    ];
    for (name, request, status) in cases {
        let answer = Answer::read(request.send().await.unwrap()).await;
        // Two 4xx codes serve equally well for a value that cannot be decoded at all.
        let as_good = [400, 422].contains(&status) && [400, 422].contains(&answer.status);
        assert!(answer.status == status || as_good, "{name}: wanted {status}, got {}", answer.text());
        assert_eq!(answer.content_type, "application/problem+json", "{name}");
        assert_eq!(answer.json()["status"], answer.status, "{name}");
    }
    assert_eq!(customer.get("/api/cart").await, before, "nothing changed");
    assert!(shop.ledger().await.is_empty());
    let errors: Vec<_> = shop.log_lines().into_iter().filter(|line| line.contains("\"ERROR\"")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
