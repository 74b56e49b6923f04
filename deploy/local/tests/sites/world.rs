//! A shop in Seattle, where home is, and London; and what these tests ask of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cluster::Shop,
    customer::{Answer, Customer},
};

pub(crate) const BOOK: &str = "pride-and-prejudice";
pub(crate) const TRAINS: &str = "train-set-highland-express";
/// Storefronts: the first stands in Seattle, the second in London.
pub(crate) const SEATTLE: u16 = 1;
pub(crate) const LONDON: u16 = 2;

pub(crate) async fn two_sites() -> Shop {
    Shop::start_with(|up| _ = up.args(["--sites", "seattle,london"])).await
}

pub(crate) fn trestle(shop: &Shop, args: &[&str]) {
    let output = shop.trestle(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) async fn add(customer: &Customer<'_>, at: u16, sku: &str) -> Answer {
    let body = json!({"sku": sku, "quantity": 1});
    customer.call(at, Method::POST, "/api/cart/lines", Some(body)).await
}

/// Skus in the cart as one site shows it, in order of their names; nothing if it does not show it now.
pub(crate) async fn cart(customer: &Customer<'_>, at: u16) -> Option<Vec<String>> {
    let answer = customer.call(at, Method::GET, "/api/cart", None).await;
    let lines = (answer.status == 200).then(|| answer.json()["lines"].as_array().unwrap().clone())?;
    let mut skus: Vec<_> = lines.iter().map(|line| line["sku"].as_str().unwrap().to_owned()).collect();
    skus.sort();
    Some(skus)
}

pub(crate) async fn until_cart(shop: &Shop, customer: &Customer<'_>, at: u16, skus: &[&str]) {
    let wanted: Vec<_> = skus.iter().map(|sku| (*sku).to_owned()).collect();
    shop.until(&format!("storefront {at} shows {skus:?}"), async || cart(customer, at).await.as_ref() == Some(&wanted))
        .await;
}

/// What every carts node has in a cart, asked one by one.
pub(crate) async fn on_every_node(shop: &Shop, cart: &Value) -> Vec<(String, Vec<String>)> {
    let secret = std::fs::read_to_string(shop.data().join("cluster.secret")).unwrap();
    let mut seen = Vec::new();
    for node in shop.nodes().iter().filter(|node| node["family"] == "carts") {
        let url = format!("http://{}/op/carts.view", node["address"].as_str().unwrap());
        let request = shop.http.post(url).bearer_auth(secret.trim()).json(&json!({"cart": cart}));
        let contents: Value = request.send().await.unwrap().json().await.unwrap();
        let lines = contents["lines"].as_array().cloned().unwrap_or_default();
        let skus = lines.iter().map(|line| line["sku"].as_str().unwrap().to_owned()).collect();
        seen.push((node["id"].as_str().unwrap().to_owned(), skus));
    }
    seen
}

/// The answer of a site that cannot reach home: clear, with a time to come back, and nothing begun.
pub(crate) fn assert_home_unreachable(answer: &Answer) {
    assert_eq!((answer.status, answer.content_type.as_str()), (503, "application/problem+json"), "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["type"], "/docs/problems#home-site-unreachable", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("cannot reach seattle"), "{problem}");
}

/// An account in Seattle and its session.
pub(crate) async fn logged_in<'a>(shop: &'a Shop, email: &str) -> Customer<'a> {
    let guest = Customer::arrive(shop).await;
    let credentials = json!({"email": email, "password": "a long enough password"});
    let made = guest.call(SEATTLE, Method::POST, "/api/accounts", Some(credentials.clone())).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let answer = guest.call(SEATTLE, Method::POST, "/api/session", Some(credentials)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Customer::with_token(shop, answer.json()["token"].as_str().unwrap())
}
