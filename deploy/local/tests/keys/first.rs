//! One key, one request: E1 to E4.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    customer::{Answer, Customer},
    place::{BOOK, Place, bought_once, order, orders, send, slug, until_order},
};

const KEY: &str = "one-key-for-one-purchase";
/// First requests at once.
const FIRST: u16 = 64;
/// Repeats afterwards.
const REPEATS: u16 = 50;

async fn many_first_requests_are_one_order(place: &Place) {
    let shop = &place.shop;
    let customer = &Customer::arrive(shop).await;
    let total = &customer.add(BOOK, 2).await["total"].clone();
    let sends = (0..FIRST).map(|number| customer.checkout_for(1 + number % 2, KEY, "tok_ok", total));
    let answers: Vec<Answer> = join_all(sends).await;
    let (bought, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert!(!bought.is_empty());
    for answer in others {
        assert_eq!((answer.status, slug(answer).as_str()), (409, "in-progress"), "{}", answer.text());
    }
    assert_eq!(bought.iter().filter(|answer| !answer.replayed).count(), 1, "one owner");
    assert!(bought.iter().all(|answer| answer.bytes == bought[0].bytes));
    bought_once(shop, customer, total).await;
    for number in 0..REPEATS {
        let again = customer.checkout_for(1 + number % 2, KEY, "tok_ok", total).await;
        assert_eq!((again.status, again.replayed), (201, true), "{}", again.text());
        assert_eq!(again.bytes, bought[0].bytes, "repeat {number}");
    }
    assert_eq!(shop.ledger().await.len(), 1);
    assert!(customer.cart().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_of_64_first_requests_one_owns_the_key_on_sqlite() {
    many_first_requests_are_one_order(&Place::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_of_64_first_requests_one_owns_the_key_on_postgresql() {
    many_first_requests_are_one_order(&Place::on_postgresql().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e02_a_hundred_repeats_are_the_same_bytes() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let first = customer.checkout_for(1, KEY, "tok_ok", &total).await;
    assert_eq!((first.status, first.replayed), (201, false), "{}", first.text());
    for number in 0..100 {
        let request = shop.http.post(shop.url(1 + number % 2, "/api/checkout")).bearer_auth(&customer.token);
        let request = request.header("idempotency-key", KEY).json(&order("tok_ok", &total));
        let response = request.send().await.unwrap();
        assert!(!response.headers().contains_key("set-cookie"), "never repeated (IK-10)");
        let again = Answer::read(response).await;
        assert_eq!((again.status, again.replayed), (201, true), "{}", again.text());
        assert_eq!((&again.bytes, &again.location), (&first.bytes, &first.location));
        assert_eq!(again.content_type, first.content_type);
    }
    bought_once(shop, &customer, &total).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e03_another_payload_is_refused_during_and_after() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = &Customer::arrive(shop).await;
    let total = &customer.add(BOOK, 1).await["total"].clone();
    let mut other_total = total.clone();
    other_total["amount_minor"] = (total["amount_minor"].as_i64().unwrap() * 2).into();
    let address = json!({"name": "Ada", "line1": "1 Main Street", "city": "York", "postcode": "YO1", "country": "UK"});
    let mut elsewhere = order("tok_slow", total);
    elsewhere["address"] = address;
    let others = [order("tok_slow", &other_total), order("tok_ok", total), elsewhere];
    let refused = async || {
        for (number, other) in (1..).zip(&others) {
            let answer = send(shop, 1 + number % 2, &customer.token, KEY, other.to_string()).await.unwrap();
            assert_eq!((answer.status, slug(&answer).as_str()), (422, "key-reused"), "{}", answer.text());
            assert_eq!(answer.json()["safe_new_key"], false);
        }
    };
    let during = async {
        until_order(shop, customer, "accepted").await;
        refused().await;
        assert_eq!(orders(customer).await[0]["state"], "accepted", "all that was during");
    };
    let (first, ()) = tokio::join!(customer.checkout_for(1, KEY, "tok_slow", total), during);
    assert_eq!((first.status, first.replayed), (201, false), "{}", first.text());
    refused().await;
    assert_eq!(customer.checkout_for(2, KEY, "tok_slow", total).await.bytes, first.bytes, "the original is untouched");
    bought_once(shop, customer, total).await;
    assert_eq!(shop.ledger().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn e04_the_same_in_another_spelling_is_a_repeat() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let first = customer.checkout_for(1, KEY, "tok_ok", &total).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let (amount, currency) = (&total["amount_minor"], &total["currency"]);
    let spellings = [
        format!(
            r#"{{"expected_total":{{"currency":{currency},"amount_minor":{amount}}},"payment":{{"token":"tok_ok"}}}}"#
        ),
        format!(
            "\n{{ \"payment\" : {{\t\"token\":\"tok\\u005fok\" }},\r\n \"expected_total\": {{ \"amount_minor\": {amount}, \
             \"currency\": {currency} }} }} "
        ),
    ];
    for (number, spelling) in (1..).zip(spellings) {
        let again = send(shop, number, &customer.token, KEY, spelling).await.unwrap();
        assert_eq!((again.status, again.replayed), (201, true), "{}", again.text());
        assert_eq!(again.bytes, first.bytes);
    }
    bought_once(shop, &customer, &total).await;
}
