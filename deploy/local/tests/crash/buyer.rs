//! A customer who buys one thing: either repeats with the same key until the answer is definite, or sends once and is gone.
//! Nothing here fails because a node just died; it asks again until somebody's patience is over.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cluster::Shop;

pub(crate) struct Buyer {
    token: String,
    key: String,
    pub(crate) sku: String,
    payment: &'static str,
    pub(crate) total: Value,
}

/// An answer to a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// Whether this is how it ends: bought, or a no after which a new key is safe.
    fn is_definite(&self) -> bool {
        match self.status {
            201 => true,
            402 | 409 => self.json()["safe_new_key"] == true,
            202 | 503 => false,
            _ => panic!("{self}"),
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.bytes))
    }
}

/// Sends until the status is the wanted one.
async fn insist(wanted: u16, what: &str, shop: &Shop, mut request: impl FnMut(u16) -> RequestBuilder) -> Value {
    let (mut frontend, mut value) = (0, Value::Null);
    shop.until(what, async || {
        frontend = frontend % 2 + 1;
        let Ok(response) = request(frontend).send().await else { return false };
        if response.status().as_u16() != wanted {
            return false;
        }
        let Ok(json) = response.json().await else { return false };
        value = json;
        true
    })
    .await;
    value
}

impl Buyer {
    /// A new customer with one piece of something in the cart.
    pub(crate) async fn arrive(shop: &Shop, key: String, sku: String, payment: &'static str) -> Self {
        let session =
            insist(201, "a session", shop, |frontend| shop.http.post(shop.url(frontend, "/api/session"))).await;
        let token = session["token"].as_str().unwrap().to_owned();
        let mut buyer = Self { token, key, sku, payment, total: Value::Null };
        let path = format!("/api/cart/lines/{}", buyer.sku);
        let cart = insist(200, "a full cart", shop, |frontend| {
            buyer.request(shop, frontend, Method::PUT, &path).json(&json!({"quantity": 1}))
        })
        .await;
        buyer.total = cart["total"].clone();
        buyer
    }

    fn request(&self, shop: &Shop, frontend: u16, method: Method, path: &str) -> RequestBuilder {
        shop.http.request(method, shop.url(frontend, path)).bearer_auth(&self.token)
    }

    /// Sends the checkout once; none when no answer came.
    pub(crate) async fn send(&self, shop: &Shop, frontend: u16) -> Option<Answer> {
        let body = json!({"payment": {"token": self.payment}, "expected_total": self.total});
        let request = self.request(shop, frontend, Method::POST, "/api/checkout").header("idempotency-key", &self.key);
        let response = request.json(&body).send().await.ok()?;
        let status = response.status().as_u16();
        Some(Answer { status, bytes: response.bytes().await.ok()?.to_vec() })
    }

    /// Repeats over both frontends until the answer is definite.
    pub(crate) async fn until_definite(&self, shop: &Shop) -> Answer {
        let (mut frontend, mut last) = (0, None);
        shop.until("the customer knows", async || {
            frontend = frontend % 2 + 1;
            last = self.send(shop, frontend).await;
            last.as_ref().is_some_and(Answer::is_definite)
        })
        .await;
        last.unwrap()
    }

    /// Sends once and hangs up when the node has died, if the answer has not come before.
    pub(crate) async fn send_and_leave(&self, shop: &Shop, died: &CancellationToken) {
        tokio::select! {
            _ = self.send(shop, 1) => {}
            () = died.cancelled() => {}
        }
    }

    /// The orders that the shop shows: not the ones that came to nothing.
    pub(crate) async fn orders(&self, shop: &Shop) -> Vec<Value> {
        let list = |frontend| self.request(shop, frontend, Method::GET, "/api/orders");
        insist(200, "a list of orders", shop, list).await["items"].as_array().unwrap().clone()
    }

    /// Waits until exactly one order is shown, in this state; answers its id.
    pub(crate) async fn until_order(&self, shop: &Shop, state: &str) -> String {
        let mut id = String::new();
        shop.until(&format!("the order is {state}"), async || {
            let orders = self.orders(shop).await;
            assert!(orders.len() <= 1, "more than one order: {orders:?}");
            id = orders.first().map(|order| order["id"].as_str().unwrap().to_owned()).unwrap_or_default();
            orders.first().is_some_and(|order| order["state"] == state)
        })
        .await;
        id
    }

    /// Waits until no order is shown (any more).
    pub(crate) async fn until_no_order(&self, shop: &Shop) {
        shop.until("no order is open", async || self.orders(shop).await.is_empty()).await;
    }

    /// How many lines the cart has.
    pub(crate) async fn cart_lines(&self, shop: &Shop) -> usize {
        let cart = |frontend| self.request(shop, frontend, Method::GET, "/api/cart");
        insist(200, "the cart", shop, cart).await["lines"].as_array().unwrap().len()
    }
}
