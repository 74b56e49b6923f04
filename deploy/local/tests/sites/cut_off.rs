//! What stands where, what a cut-off site still does, and what it refuses clearly.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    cluster::Shop,
    customer::Customer,
    world::{
        BOOK, LONDON, SEATTLE, TRAINS, add, assert_home_unreachable, cart, logged_in, trestle, two_sites, until_cart,
    },
};

/// A new anonymous customer of one storefront.
async fn arrive(shop: &Shop, at: u16) -> Customer<'_> {
    let nobody = Customer::with_token(shop, "");
    let answer = nobody.call(at, Method::POST, "/api/session", None).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    Customer::with_token(shop, answer.json()["token"].as_str().unwrap())
}

async fn available(customer: &Customer<'_>, at: u16) -> u64 {
    let answer = customer.call(at, Method::GET, &format!("/api/products/{BOOK}"), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["available"].as_u64().unwrap()
}

fn stand_as_documented(shop: &Shop) {
    let mut standing = BTreeMap::new();
    for node in shop.nodes() {
        let [family, site] = ["family", "site"].map(|field| node[field].as_str().unwrap().to_owned());
        *standing.entry((site, family)).or_insert(0) += 1;
    }
    let at = |site: &str, family: &str| standing.get(&(site.to_owned(), family.to_owned())).copied().unwrap_or(0);
    for family in ["logic", "sessions", "carts", "catalogue"] {
        assert_eq!((at("seattle", family), at("london", family)), (2, 2), "{family}");
    }
    assert_eq!((at("seattle", "frontend"), at("london", "frontend")), (1, 1));
    for (family, count) in [("orders", 2), ("payments", 2), ("provider", 1)] {
        assert_eq!((at("seattle", family), at("london", family)), (count, 0), "{family}");
    }
    assert_eq!(
        (&shop.node("frontend-1")["site"], &shop.node("frontend-2")["site"]),
        (&json!("seattle"), &json!("london"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_site_goes_on_with_carts_and_says_clearly_what_needs_the_home_site() {
    let shop = two_sites().await;
    stand_as_documented(&shop);
    let account = logged_in(&shop, "ada@example.org").await;
    let londoner = arrive(&shop, LONDON).await;
    assert_eq!(add(&londoner, LONDON, BOOK).await.status, 200);

    trestle(&shop, &["cut", "seattle", "london"]);
    let began = Instant::now();
    let total = londoner.call(LONDON, Method::GET, "/api/cart", None).await.json()["total"].clone();
    shop.until("London knows that home is out of reach", async || {
        let refused = londoner.checkout_for(LONDON, "a-purchase-in-london", "tok_ok", &total).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        refused.json()["type"] == "/docs/problems#home-site-unreachable"
    })
    .await;
    println!("London refused clearly {:?} after the cut", began.elapsed());
    let asked = Instant::now();
    let refused = londoner.checkout_for(LONDON, "a-purchase-in-london", "tok_ok", &total).await;
    assert_home_unreachable(&refused);
    assert!(asked.elapsed().as_secs() < 2, "at once, not after waiting for Seattle: {:?}", asked.elapsed());
    assert_eq!(refused.json()["safe_new_key"], false, "an earlier request with this key may have got through");
    assert_eq!(cart(&londoner, LONDON).await.unwrap(), [BOOK], "the cart is kept");
    let credentials = json!({"email": "ada@example.org", "password": "a long enough password"});
    for path in ["/api/session", "/api/accounts"] {
        assert_home_unreachable(&londoner.call(LONDON, Method::POST, path, Some(credentials.clone())).await);
    }

    // Everything else goes on in London, and all of it in Seattle.
    let newcomer = arrive(&shop, LONDON).await;
    assert_eq!(add(&newcomer, LONDON, TRAINS).await.status, 200);
    assert_eq!(cart(&newcomer, LONDON).await.unwrap(), [TRAINS]);
    let list = newcomer.call(LONDON, Method::GET, "/api/products?q=austen", None).await;
    assert!(list.status == 200 && !list.json()["items"].as_array().unwrap().is_empty(), "{}", list.text());
    assert_eq!(add(&account, SEATTLE, BOOK).await.status, 200);
    let before = available(&londoner, LONDON).await;
    let bought = account.checkout(SEATTLE, "a-purchase-in-seattle", "tok_ok").await;
    assert_eq!(bought.status, 201, "{}", bought.text());
    assert_eq!(available(&londoner, LONDON).await, before, "the copy is as old as the cut");

    trestle(&shop, &["heal"]);
    shop.until("London buys what was refused, with the same key", async || {
        londoner.checkout_for(LONDON, "a-purchase-in-london", "tok_ok", &total).await.status == 201
    })
    .await;
    assert_eq!(shop.ledger().await.len(), 2);
    shop.until("London's copy of the stock has caught up", async || available(&londoner, LONDON).await == before - 2)
        .await;
    until_cart(&shop, &londoner, LONDON, &[]).await;
    let login = newcomer.call(LONDON, Method::POST, "/api/session", Some(credentials)).await;
    assert_eq!(login.status, 200, "{}", login.text());
    let customer = Customer::with_token(&shop, login.json()["token"].as_str().unwrap());
    // At once: the login waits until its own site knows the session.
    let who = customer.call(LONDON, Method::GET, "/api/session", None).await;
    assert_eq!((who.status, &who.json()["account"]["email"]), (200, &json!("ada@example.org")), "{}", who.text());
    assert_eq!(cart(&customer, LONDON).await.unwrap(), [TRAINS], "the guest's cart came along");
    shop.until("Seattle knows the session too", async || {
        customer.call(SEATTLE, Method::GET, "/api/session", None).await.status == 200
    })
    .await;
}
