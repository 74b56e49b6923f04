//! What customers see of a bad link, and that everything ends well once it is healed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{cluster::Shop, commands::ask, customer::Customer};

const BOOK: &str = "pride-and-prejudice";
/// Longer than a customer waits for any answer: 5 s and what the machine needs on top.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

async fn completed(shop: &Shop, customer: &Customer<'_>, location: &str) -> Value {
    let mut order = Value::Null;
    shop.until("the order is completed", async || {
        order = customer.get(location).await;
        order["state"] == "completed"
    })
    .await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_out_of_reach_are_an_unknown_outcome_and_the_same_key_finds_out() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    assert!(ask(&shop, &["cut", "logic", "orders"]).0);

    let began = Instant::now();
    let lost = customer.checkout_for(1, "a-key-behind-a-cut-link", "tok_ok", &total).await;
    assert_eq!((lost.status, lost.content_type.as_str()), (503, "application/problem+json"), "{}", lost.text());
    assert_eq!(lost.json()["safe_new_key"], false, "the key may stand for an order: {}", lost.text());
    assert!(began.elapsed() < ANSWER_WITHIN, "{:?}", began.elapsed());
    // Who needs no order goes on as before.
    let other = Customer::arrive(&shop).await;
    other.add(BOOK, 1).await;
    let products = customer.call(2, Method::GET, "/api/products?limit=1", None).await;
    assert_eq!(products.status, 200, "{}", products.text());
    assert!(shop.ledger().await.is_empty());

    assert!(ask(&shop, &["heal", "orders", "logic"]).0, "named in the other order");
    let mut bought = None;
    shop.until("the same request completes", async || {
        let answer = customer.checkout_for(2, "a-key-behind-a-cut-link", "tok_ok", &total).await;
        bought = (answer.status == 201).then_some(answer);
        bought.is_some()
    })
    .await;
    assert_eq!(bought.unwrap().json()["total"], total);
    assert_eq!(shop.ledger().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_mid_charge_is_one_order_and_one_charge() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let buying = customer.checkout_for(1, "a-key-that-is-cut-off", "tok_slow", &total);
    let cutting = async {
        shop.until("the charge is under way", async || {
            !customer.get("/api/orders").await["items"].as_array().unwrap().is_empty()
        })
        .await;
        assert!(ask(&shop, &["cut", "logic", "payments"]).0);
    };
    let (answer, ()) = tokio::join!(buying, cutting);
    assert_eq!(answer.status, 202, "nobody knows yet: {}", answer.text());
    shop.until("the provider has charged", async || shop.ledger().await.len() == 1).await;
    let open = customer.get(answer.location.as_ref().unwrap()).await;
    assert_eq!(open["state"], "accepted", "what was charged is not known while the link is cut");

    assert!(ask(&shop, &["heal"]).0);
    let order = completed(&shop, &customer, answer.location.as_ref().unwrap()).await;
    let again = customer.checkout_for(2, "a-key-that-is-cut-off", "tok_slow", &total).await;
    assert_eq!((again.status, again.replayed, &again.json()["id"]), (201, true, &order["id"]), "{}", again.text());
    assert_eq!(shop.ledger().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_of_payments_are_one_order_and_one_charge() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    let total = customer.add(BOOK, 2).await["total"].clone();
    assert!(ask(&shop, &["lose-replies", "logic", "payments"]).0);
    let first = customer.checkout_for(1, "a-key-whose-reply-is-lost", "tok_ok", &total).await;
    assert_eq!(first.status, 202, "{}", first.text());
    shop.until("the provider has charged", async || shop.ledger().await.len() == 1).await;

    assert!(ask(&shop, &["heal", "logic", "payments"]).0);
    let order = completed(&shop, &customer, first.location.as_ref().unwrap()).await;
    assert_eq!(order["total"], total);
    let again = customer.checkout_for(2, "a-key-whose-reply-is-lost", "tok_ok", &total).await;
    assert_eq!((again.status, &again.json()["id"]), (201, &order["id"]), "{}", again.text());
    let charges = shop.ledger().await;
    assert_eq!((charges.len(), &charges[0]["amount"]), (1, &total));
    assert!(customer.cart().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_slow_in_both_directions_and_nothing_fails() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    customer.add(BOOK, 1).await;
    let took = async || {
        let began = Instant::now();
        customer.get("/api/cart").await;
        began.elapsed()
    };
    assert!(ask(&shop, &["slow", "frontend", "logic", "--ms", "300"]).0);
    let slow = took().await;
    assert!((Duration::from_millis(300)..Duration::from_secs(2)).contains(&slow), "{slow:?}");
    // Readiness is asked for over the same links, and two hops add up.
    assert!(ask(&shop, &["slow", "carts-1", "logic", "--ms", "200"]).0);
    assert!(ask(&shop, &["slow", "logic", "carts-2", "--ms", "200"]).0, "the other way round is the same link");
    let slow = took().await;
    assert!((Duration::from_millis(500)..Duration::from_secs(3)).contains(&slow), "{slow:?}");
    let bought = customer.checkout(2, "a-purchase-over-slow-links", "tok_ok").await;
    assert_eq!(bought.status, 201, "{}", bought.text());

    assert!(ask(&shop, &["heal"]).0);
    shop.until("the links are fast again", async || took().await < Duration::from_millis(200)).await;
    assert_eq!(bought.json()["lines"][0]["sku"], json!(BOOK));
}
