//! Sessions, accounts, carts and products as a client sees them.

use contract::SessionId;
use serde_json::json;

use crate::fake::{Call, EXPIRES_AT_MS, Edge, KEY, LIVE};

const PASSWORD: &str = "correct horse";

fn credentials(email: &str, password: &str) -> serde_json::Value {
    json!({"email": email, "password": password})
}

#[tokio::test]
async fn an_anonymous_session_is_a_token_and_a_guarded_cookie() {
    let edge = Edge::with_cookie(true);
    let reply = edge.send(Call::new("POST", "/api/session").cookie("spoiled")).await;
    assert_eq!(reply.status, 201);
    let answer = reply.json();
    let token = answer["token"].as_str().unwrap();
    assert!(token.len() == 64 && answer.get("account").is_none(), "{answer}");
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("session={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=")), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let lifetime_s: i64 = cookie.split("Max-Age=").nth(1).unwrap().trim_end_matches("; Secure").parse().unwrap();
    assert!((0..EXPIRES_AT_MS / 1_000).contains(&lifetime_s), "it lasts as long as the session: {lifetime_s}");
    let (request, _) = edge.asked("shop.open_session").pop().unwrap();
    assert_eq!(request["session"], SessionId::of_token(token).to_string(), "inner tiers know the hash only");
    let who = edge.send(Call::new("GET", "/api/session").cookie(token)).await.json();
    assert_eq!(who, json!({"anonymous": true, "expires_at": "2096-10-02T07:06:40Z"}));
}

#[tokio::test]
async fn a_login_names_the_session_it_replaces() {
    let edge = Edge::new();
    let call = Call::new("POST", "/api/session").cookie(LIVE).json(&credentials(" Ada@Example.org", PASSWORD));
    let reply = edge.send(call).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["account"]["email"], "ada@example.org");
    assert!(reply.header("set-cookie").unwrap().contains(reply.json()["token"].as_str().unwrap()));
    let (request, _) = edge.asked("shop.login").pop().unwrap();
    assert_eq!(request["guest"], SessionId::of_token(LIVE).to_string());
    let reply =
        edge.send(Call::new("POST", "/api/session").json(&credentials("ada@example.org", "wrong password"))).await;
    assert_eq!(reply.problem(), (401, "wrong-credentials".to_owned()));
    assert!(reply.header("set-cookie").is_none());
    let reply =
        edge.send(Call::new("POST", "/api/session").json(&credentials("ada@example.org", "one too many"))).await;
    assert_eq!(reply.problem(), (429, "throttled".to_owned()));
    assert_eq!(reply.header("retry-after"), Some("8"));
    let asked = edge.asked("shop.login").len();
    let reply = edge.send(Call::new("POST", "/api/session").json(&credentials("nobody", &"x".repeat(50_000)))).await;
    assert_eq!(reply.problem(), (401, "wrong-credentials".to_owned()));
    assert_eq!(edge.asked("shop.login").len(), asked, "what no account can have costs no hash");
}

#[tokio::test]
async fn a_logout_ends_the_session_and_takes_the_cookie_away() {
    let edge = Edge::new();
    for _ in 0..2 {
        let reply = edge.send(Call::new("DELETE", "/api/session").cookie(LIVE)).await;
        assert_eq!(reply.status, 204);
        assert!(reply.header("set-cookie").unwrap().contains("session=; ") && reply.body.is_empty());
    }
    assert_eq!(edge.asked("shop.logout").len(), 2);
}

#[tokio::test]
async fn a_registration_is_named_by_key_and_address() {
    let edge = Edge::new();
    let register = async |email: &str, key: Option<&str>| {
        let call = Call::new("POST", "/api/accounts").json(&credentials(email, PASSWORD));
        let call = if let Some(key) = key { call.header("idempotency-key", key) } else { call };
        let reply = edge.send(call).await;
        assert_eq!(reply.status, 201);
        assert_eq!(reply.json()["email"], email.to_lowercase());
        edge.asked("shop.register").pop().unwrap().0["request"].clone()
    };
    let first = register("Ada@example.org", Some(KEY)).await;
    assert_eq!(register("ada@example.org", Some(KEY)).await, first);
    assert_ne!(register("bob@example.org", Some(KEY)).await, first, "a shared key shows nobody another's account");
    assert_ne!(register("ada@example.org", None).await, register("ada@example.org", None).await);
}

#[tokio::test]
async fn cart_changes_are_named_once_each() {
    let edge = Edge::new();
    let add = json!({"sku": "emma", "quantity": 2});
    let calls = [
        ("shop.add_to_cart", Call::new("POST", "/api/cart/lines").json(&add)),
        ("shop.set_line", Call::new("PUT", "/api/cart/lines/emma").json(&json!({"quantity": 2}))),
        ("shop.remove_line", Call::new("DELETE", "/api/cart/lines/emma")),
    ];
    let cart = edge.send(Call::new("GET", "/api/cart").bearer(LIVE)).await.json();
    let keys: Vec<_> = ["id", "lines", "total"].into_iter().collect();
    assert_eq!(cart.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    for (operation, call) in calls {
        let reply = edge.send(call.bearer(LIVE).header("idempotency-key", KEY)).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, cart.clone()), "{operation}");
        assert_eq!(edge.asked(operation).pop().unwrap().0["request"], KEY, "{operation}");
    }
    for _ in 0..2 {
        edge.send(Call::new("POST", "/api/cart/lines").bearer(LIVE).json(&add)).await;
    }
    let asked = edge.asked("shop.add_to_cart");
    assert_ne!(asked[1].0["request"], asked[2].0["request"], "without a key each request is a change of its own");
}

#[tokio::test]
async fn products_are_public_and_looks_are_counted_behind() {
    let edge = Edge::new();
    let page = edge.send(Call::new("GET", "/api/products?q=&category=&after=&limit=&utm=1")).await;
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.json()["next"], "20");
    assert_eq!(
        edge.asked("shop.products").pop().unwrap().0,
        json!({"query": "", "category": null, "after": null, "limit": 20}),
        "an empty parameter is a missing one"
    );
    let product = edge.send(Call::new("GET", "/api/products/emma")).await.json();
    assert_eq!(product, page.json()["items"][0]);
    assert_eq!(product["price"], json!({"amount_minor": 999, "currency": "GBP"}));
    edge.node.tasks.stop();
    edge.node.tasks.join(std::time::Duration::from_secs(5)).await;
    assert_eq!(edge.asked("shop.viewed").len(), 1);
}

#[tokio::test]
async fn orders_are_listed_page_by_page() {
    let edge = Edge::new();
    let page = edge.send(Call::new("GET", "/api/orders?limit=1").bearer(LIVE)).await.json();
    let next = page["next"].as_str().unwrap();
    assert_eq!(page["items"][0]["id"], next);
    edge.send(Call::new("GET", &format!("/api/orders?limit=1&after={next}")).bearer(LIVE)).await;
    assert_eq!(edge.asked("shop.orders").pop().unwrap().0["after"], next);
}
