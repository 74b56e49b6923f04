//! Whose key it is, and for what: E5, E6, E17, E22, E25.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    customer::{Answer, Customer},
    place::{BOOK, OTHER_BOOK, Place, bought_once, orders, slug, until_order},
};

const KEY: &str = "one-key-for-one-purchase";

#[tokio::test(flavor = "multi_thread")]
async fn e05_the_same_key_of_two_customers_is_two_orders() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let (ada, bob) = (Customer::arrive(shop).await, Customer::arrive(shop).await);
    let total = ada.add(BOOK, 1).await["total"].clone();
    // The same request to the byte: nothing but the principal differs.
    assert_eq!(bob.add(BOOK, 1).await["total"], total);
    let (one, two) =
        tokio::join!(ada.checkout_for(1, KEY, "tok_ok", &total), bob.checkout_for(2, KEY, "tok_ok", &total));
    for answer in [&one, &two] {
        assert_eq!((answer.status, answer.replayed), (201, false), "{}", answer.text());
    }
    assert_ne!(one.json()["id"], two.json()["id"]);
    for (customer, own, foreign) in [(&ada, &one, &two), (&bob, &two, &one)] {
        bought_once(shop, customer, &total).await;
        assert_eq!(customer.checkout_for(1, KEY, "tok_ok", &total).await.bytes, own.bytes);
        let peep = customer.call(2, Method::GET, foreign.location.as_ref().unwrap(), None).await;
        assert_eq!(peep.status, 404, "{}", peep.text());
    }
}

async fn keyed(place: &Place, customer: &Customer<'_>, method: Method, path: &str, key: &str, body: Value) -> Answer {
    let request = place.shop.http.request(method, place.shop.url(1, path)).bearer_auth(&customer.token);
    Answer::read(request.header("idempotency-key", key).json(&body).send().await.unwrap()).await
}

/// Keys of cart changes are not claimed in a table: they are the changes' names inside the cart (product.md, section 5),
/// so what a cart cannot see, it does not refuse. What must never be is a purchase under a key that stands for something
/// else, or a purchase changed by one.
#[tokio::test(flavor = "multi_thread")]
async fn e06_a_key_of_another_route_buys_nothing() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    let lines = "/api/cart/lines";
    let added = keyed(&place, &customer, Method::POST, lines, KEY, json!({"sku": BOOK, "quantity": 2})).await;
    assert_eq!(added.status, 200, "{}", added.text());
    let (path, put) = (format!("{lines}/{OTHER_BOOK}"), "the-key-of-a-put-request");
    let added = keyed(&place, &customer, Method::PUT, &path, put, json!({"quantity": 1})).await;
    let total = added.json()["total"].clone();
    for key in [KEY, put] {
        let refused = customer.checkout_for(2, key, "tok_ok", &total).await;
        assert_eq!((refused.status, slug(&refused).as_str()), (422, "key-reused"), "{}", refused.text());
    }
    assert_eq!((orders(&customer).await.len(), shop.ledger().await.len()), (0, 0));

    let key = "the-key-of-the-checkout";
    let first = customer.checkout_for(1, key, "tok_ok", &total).await;
    assert_eq!(first.status, 201, "{}", first.text());
    // The other way round it is a line in the cart, once, and the purchase stays what it was.
    for _ in 0..2 {
        let added = keyed(&place, &customer, Method::POST, lines, key, json!({"sku": BOOK, "quantity": 1})).await;
        assert_eq!(added.status, 200, "{}", added.text());
    }
    assert_eq!(customer.cart().await, [(BOOK.to_owned(), 1)]);
    let again = customer.checkout_for(2, key, "tok_ok", &total).await;
    assert_eq!((again.status, again.replayed, &again.bytes), (201, true, &first.bytes));
    bought_once(shop, &customer, &total).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e17_two_tabs_with_two_keys_are_one_order() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    for token in ["tok_ok", "tok_slow"] {
        let customer = Customer::arrive(shop).await;
        let total = customer.add(BOOK, 1).await["total"].clone();
        let (one, two) = tokio::join!(
            customer.checkout_for(1, "the-first-tab-of-the-browser", token, &total),
            customer.checkout_for(2, "the-second-tab-of-the-browser", token, &total),
        );
        let (bought, other) = if one.status == 201 { (one, two) } else { (two, one) };
        assert_eq!((bought.status, other.status), (201, 409), "{} / {}", bought.text(), other.text());
        // Later than the whole purchase it finds nothing to buy; meanwhile it is shown the order.
        match slug(&other).as_str() {
            "cart-claimed" => assert_eq!(other.location, bought.location),
            other => assert_eq!((other, token), ("cart-empty", "tok_ok")),
        }
        bought_once(shop, &customer, &total).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e22_a_new_session_of_the_same_customer_gets_the_answer_and_nobody_else() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let credentials = json!({"email": "ada@example.org", "password": "a long enough password"});
    let login = async || {
        let guest = Customer::arrive(shop).await;
        let answer = guest.call(1, Method::POST, "/api/session", Some(credentials.clone())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Customer::with_token(shop, answer.json()["token"].as_str().unwrap())
    };
    let guest = Customer::arrive(shop).await;
    let registered = guest.call(1, Method::POST, "/api/accounts", Some(credentials.clone())).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let before = &login().await;
    let total = &before.add(BOOK, 1).await["total"].clone();
    let leaving = async {
        until_order(shop, before, "accepted").await;
        let gone = before.call(2, Method::DELETE, "/api/session", None).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        let stale = before.checkout_for(2, KEY, "tok_slow", total).await;
        assert_eq!(stale.status, 401, "the session is over, the purchase is not: {}", stale.text());
    };
    let (first, ()) = tokio::join!(before.checkout_for(1, KEY, "tok_slow", total), leaving);
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(
        before.checkout_for(1, KEY, "tok_slow", total).await.status,
        401,
        "a stored answer needs a session (IK-11)"
    );

    let after = login().await;
    let again = after.checkout_for(2, KEY, "tok_slow", total).await;
    assert_eq!((again.status, again.replayed), (201, true), "{}", again.text());
    assert_eq!(again.bytes, first.bytes);
    let stranger = Customer::arrive(shop).await;
    let other = stranger.checkout_for(1, KEY, "tok_slow", total).await;
    assert_eq!((other.status, slug(&other).as_str()), (409, "cart-empty"), "{}", other.text());
    bought_once(shop, &after, total).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e25_reads_ignore_a_key() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let first = customer.checkout_for(1, KEY, "tok_ok", &total).await;
    let location = first.location.clone().unwrap();
    // Of a product that nobody bought: nodes may show the stock of others as it was up to a second ago.
    let product = format!("/api/products/{OTHER_BOOK}");
    for path in ["/api/cart", "/api/orders", &location, &product, "/api/session"] {
        let plain = customer.call(1, Method::GET, path, None).await;
        // The key of the purchase, one never used, and one that a checkout would refuse.
        for key in [KEY, "a-key-that-nobody-used", "short"] {
            let request = shop.http.get(shop.url(2, path)).bearer_auth(&customer.token).header("idempotency-key", key);
            let keyed = Answer::read(request.send().await.unwrap()).await;
            assert_eq!((keyed.status, keyed.replayed), (200, false), "{path}: {}", keyed.text());
            assert_eq!(keyed.bytes, plain.bytes, "{path}");
        }
    }
}
