//! Buying, and every way in which a purchase goes wrong between honest parties.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cluster::Shop,
    customer::{Answer, Customer},
};

const BOOK: &str = "pride-and-prejudice";
const OTHER_BOOK: &str = "emma";

/// The charges behind one order.
async fn charges_of(shop: &Shop, order: &Value) -> Vec<Value> {
    let id = order["id"].clone();
    shop.ledger().await.into_iter().filter(|charge| charge["reference"] == id).collect()
}

/// Waits until an order has left `accepted`; answers it.
async fn settled(shop: &Shop, customer: &Customer<'_>, location: &str) -> Value {
    let mut order = Value::Null;
    shop.until("the order is settled", async || {
        order = customer.get(location).await;
        order["state"] != "accepted"
    })
    .await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_over_two_frontends_is_one_order_and_one_charge() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    customer.add(BOOK, 2).await;
    let total = customer.add("train-set-highland-express", 1).await["total"].clone();
    let first = customer.checkout_for(1, "the-first-purchase-key", "tok_ok", &total).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert!(!first.replayed);
    let order = first.json();
    assert_eq!((&order["state"], &order["total"]), (&json!("completed"), &total));

    for frontend in [2, 1, 2] {
        let again = customer.checkout_for(frontend, "the-first-purchase-key", "tok_ok", &total).await;
        assert_eq!(again.status, 201, "{}", again.text());
        assert!(again.replayed);
        assert_eq!(again.bytes, first.bytes, "a repeat's answer is byte-identical");
    }
    let quoted = customer.checkout_for(2, "\"the-first-purchase-key\"", "tok_ok", &total).await;
    assert_eq!(quoted.bytes, first.bytes, "the structured-field spelling is the same key");

    let charges = charges_of(&shop, &order).await;
    assert_eq!(charges.len(), 1, "{charges:?}");
    assert_eq!(charges[0]["amount"], total);
    assert_eq!(shop.ledger().await.len(), 1);
    assert_eq!(customer.get("/api/orders").await["items"].as_array().unwrap().len(), 1);
    assert!(customer.cart().await.is_empty(), "what was bought has left the cart");

    let other = customer.checkout_for(1, "the-first-purchase-key", "tok_declined", &total).await;
    assert_eq!(other.status, 422, "the same key with another request: {}", other.text());
    let stranger = Customer::arrive(&shop).await;
    let location = first.location.unwrap();
    assert_eq!(stranger.call(1, Method::GET, &location, None).await.status, 404);
    // Once the outbox has settled the stock, it is gone for others too.
    let available = customer.get(&format!("/api/products/{BOOK}")).await["available"].as_u64().unwrap();
    shop.until("the stock shows the sale", async || {
        customer.get(&format!("/api/products/{BOOK}")).await["available"].as_u64().unwrap() <= available
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_added_during_checkout_survives() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let buying = customer.checkout_for(1, "a-slow-purchase-key", "tok_slow", &total);
    let adding = async {
        shop.until("the checkout is open", async || {
            !customer.get("/api/orders").await["items"].as_array().unwrap().is_empty()
        })
        .await;
        customer.add(OTHER_BOOK, 3).await;
        customer.add(BOOK, 1).await;
    };
    let (bought, ()) = tokio::join!(buying, adding);
    assert_eq!(bought.status, 201, "{}", bought.text());
    assert_eq!(bought.json()["total"], total, "what was frozen is what was bought");
    assert_eq!(customer.cart().await, [(OTHER_BOOK.to_owned(), 3), (BOOK.to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_late_replies_of_the_provider_are_one_charge() {
    let shop = Shop::start().await;
    let tokens = ["tok_charge_then_timeout", "tok_charge_then_500", "tok_500_no_charge", "tok_429", "tok_late"];
    let buyers = tokens.map(async |token| {
        let customer = Customer::arrive(&shop).await;
        let total = customer.add(BOOK, 1).await["total"].clone();
        let key = format!("purchase-with-{token}");
        let first = customer.checkout_for(1, &key, token, &total).await;
        assert!([201, 202].contains(&first.status), "{token}: {}", first.text());
        let order = settled(&shop, &customer, first.location.as_ref().unwrap()).await;
        assert_eq!(order["state"], "completed", "{token}");
        let charges = charges_of(&shop, &order).await;
        assert_eq!(charges.len(), 1, "{token}: {charges:?}");
        assert_eq!(charges[0]["amount"], total, "{token}");
        let again = customer.checkout_for(2, &key, token, &total).await;
        assert_eq!((again.status, again.replayed), (201, true), "{token}: {}", again.text());
        assert!(customer.cart().await.is_empty(), "{token}");
    });
    futures_util::future::join_all(buyers).await;
    assert_eq!(shop.ledger().await.len(), tokens.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definite_no_is_remembered_and_a_new_key_may_try_again() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    for _ in 0..2 {
        let declined = customer.checkout_for(1, "a-declined-purchase", "tok_declined", &total).await;
        assert_eq!(declined.status, 402, "{}", declined.text());
        assert_eq!(declined.json()["safe_new_key"], true);
    }
    assert_eq!(customer.cart().await, [(BOOK.to_owned(), 1)], "a declined purchase leaves the cart");
    let paid = customer.checkout_for(1, "a-second-purchase-key", "tok_ok", &total).await;
    assert_eq!(paid.status, 201, "{}", paid.text());

    // A book with fewer copies than wanted: nothing is reserved, nothing is charged.
    customer.add("kokoro", 900).await;
    let sold_out = customer.checkout(1, "more-than-there-are", "tok_ok").await;
    assert_eq!(sold_out.status, 409, "{}", sold_out.text());
    assert_eq!(sold_out.json()["safe_new_key"], true);
    assert_eq!(shop.ledger().await.len(), 1);
    let orders = customer.get("/api/orders").await;
    assert_eq!(orders["items"].as_array().unwrap().len(), 1, "declined and refused ones are not listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_for_one_cart_and_many_sends_of_one_key_are_one_order() {
    let shop = Shop::start().await;
    let customer = Customer::arrive(&shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let (customer, total) = (&customer, &total);
    let sends = (0..32_u16).map(|number| async move {
        customer.checkout_for(1 + number % 2, "one-key-sent-many-times", "tok_ok", total).await
    });
    let answers: Vec<Answer> = futures_util::future::join_all(sends).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!done.is_empty());
    assert!(done.iter().all(|answer| answer.bytes == done[0].bytes));
    assert!(answers.iter().all(|answer| [201, 202, 409, 503].contains(&answer.status)));
    assert_eq!(shop.ledger().await.len(), 1);

    let total = customer.add(OTHER_BOOK, 1).await["total"].clone();
    let (one, two) = tokio::join!(
        customer.checkout_for(1, "first-tab-of-the-browser", "tok_slow", &total),
        customer.checkout_for(2, "second-tab-of-the-browser", "tok_slow", &total),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} / {}", one.text(), two.text());
    assert_eq!(shop.ledger().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_becomes_a_customer_and_logs_out_everywhere() {
    let shop = Shop::start().await;
    let credentials = json!({"email": "ada@example.org", "password": "a long enough password"});
    let guest = Customer::arrive(&shop).await;
    guest.add(BOOK, 1).await;
    let registered = guest.call(1, Method::POST, "/api/accounts", Some(credentials.clone())).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let twice = guest.call(2, Method::POST, "/api/accounts", Some(credentials.clone())).await;
    assert_eq!(twice.status, 409, "{}", twice.text());
    let login = guest.call(2, Method::POST, "/api/session", Some(credentials.clone())).await;
    assert_eq!(login.status, 200, "{}", login.text());
    let customer = Customer::with_token(&shop, login.json()["token"].as_str().unwrap());
    assert_eq!(customer.cart().await, [(BOOK.to_owned(), 1)], "the guest's cart came along");
    assert_eq!(guest.call(1, Method::GET, "/api/cart", None).await.status, 401, "the guest's session has ended");

    let mut wrong = credentials;
    wrong["password"] = json!("another password");
    assert_eq!(guest.call(1, Method::POST, "/api/session", Some(wrong)).await.status, 401);
    assert_eq!(customer.call(1, Method::DELETE, "/api/session", None).await.status, 204);
    for frontend in [1, 2] {
        assert_eq!(customer.call(frontend, Method::GET, "/api/session", None).await.status, 401);
    }
}
