//! The talk's story: a book goes into the cart, the link between the sites is cut, a train set is added on the other side
//! and the book removed there, the link is healed. The merged cart is the train set only, on every node.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;

use crate::{
    cluster::Shop,
    customer::Customer,
    world::{BOOK, LONDON, SEATTLE, TRAINS, add, cart, logged_in, on_every_node, trestle, two_sites, until_cart},
};

/// Two rounds of repair of 2 s each, and what a busy machine needs on top.
const MERGED_WITHIN: Duration = Duration::from_secs(8);

/// A session of the other site is known here once the sites have exchanged theirs.
async fn until_known(shop: &Shop, customer: &Customer<'_>, at: u16) {
    shop.until("the session is known at the other site", async || {
        customer.call(at, Method::GET, "/api/session", None).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_train_set_stays_and_the_book_does_not_come_back() {
    let shop = two_sites().await;
    let customer = logged_in(&shop, "ada@example.org").await;
    until_known(&shop, &customer, LONDON).await;
    assert_eq!(add(&customer, SEATTLE, BOOK).await.status, 200);
    until_cart(&shop, &customer, LONDON, &[BOOK]).await;

    trestle(&shop, &["cut", "seattle", "london"]);
    let added = add(&customer, LONDON, TRAINS).await;
    assert_eq!(added.status, 200, "{}", added.text());
    let removed = customer.call(LONDON, Method::DELETE, &format!("/api/cart/lines/{BOOK}"), None).await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert_eq!(cart(&customer, LONDON).await.unwrap(), [TRAINS]);
    assert_eq!(cart(&customer, SEATTLE).await.unwrap(), [BOOK], "Seattle has not heard of it");
    // Both sides have moved on, so the merge cannot be one side's copy.
    let one_more = add(&customer, SEATTLE, "emma").await;
    assert_eq!(one_more.status, 200, "{}", one_more.text());
    let gone = customer.call(SEATTLE, Method::DELETE, "/api/cart/lines/emma", None).await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    let id = one_more.json()["id"].clone();

    let healed = Instant::now();
    trestle(&shop, &["heal", "seattle", "london"]);
    shop.until("every carts node has the train set only", async || {
        let seen = on_every_node(&shop, &id).await;
        seen.len() == 4 && seen.iter().all(|(_, skus)| *skus == [TRAINS])
    })
    .await;
    println!("merged on every node {:?} after the link was healed", healed.elapsed());
    assert!(healed.elapsed() < MERGED_WITHIN, "{:?}", healed.elapsed());
    for at in [SEATTLE, LONDON] {
        assert_eq!(cart(&customer, at).await.unwrap(), [TRAINS]);
    }
    // London buys it from Seattle's stock.
    let total = customer.get("/api/cart").await["total"].clone();
    shop.until("London has noticed that home is back", async || {
        let answer = customer.checkout_for(LONDON, "the-train-set-of-the-talk", "tok_ok", &total).await;
        assert!([201, 503].contains(&answer.status), "{}", answer.text());
        answer.status == 201
    })
    .await;
    assert_eq!(shop.ledger().await.len(), 1);
    for at in [SEATTLE, LONDON] {
        until_cart(&shop, &customer, at, &[]).await;
    }
}
