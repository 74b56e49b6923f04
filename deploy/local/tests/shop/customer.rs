//! One customer: a session and the calls a customer makes.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::cluster::Shop;

pub(crate) struct Customer<'a> {
    shop: &'a Shop,
    pub(crate) token: String,
}

/// What came back, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) location: Option<String>,
    pub(crate) content_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        Self {
            status: response.status().as_u16(),
            replayed: header("idempotency-replayed").as_deref() == Some("true"),
            location: header("location"),
            content_type: header("content-type").unwrap_or_default(),
            bytes: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.bytes))
    }
}

impl<'a> Customer<'a> {
    /// A new anonymous customer.
    pub(crate) async fn arrive(shop: &'a Shop) -> Self {
        let response = shop.http.post(shop.url(1, "/api/session")).send().await.unwrap();
        let answer = Answer::read(response).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        Self { shop, token: answer.json()["token"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn with_token(shop: &'a Shop, token: &str) -> Self {
        Self { shop, token: token.to_owned() }
    }

    /// One call, without a key.
    pub(crate) async fn call(&self, frontend: u16, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.shop.http.request(method, self.shop.url(frontend, path)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.call(1, Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Puts pieces into the cart; answers the cart.
    pub(crate) async fn add(&self, sku: &str, quantity: u32) -> Value {
        let body = json!({"sku": sku, "quantity": quantity});
        let answer = self.call(1, Method::POST, "/api/cart/lines", Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Buys for what the cart now costs.
    pub(crate) async fn checkout(&self, frontend: u16, key: &str, token: &str) -> Answer {
        let total = self.get("/api/cart").await["total"].clone();
        self.checkout_for(frontend, key, token, &total).await
    }

    /// Buys for an agreed total: what a repeat must use, since the cart is empty by then.
    pub(crate) async fn checkout_for(&self, frontend: u16, key: &str, token: &str, total: &Value) -> Answer {
        let body = json!({"payment": {"token": token}, "expected_total": total});
        let request = self.shop.http.post(self.shop.url(frontend, "/api/checkout")).bearer_auth(&self.token);
        Answer::read(request.header("idempotency-key", key).json(&body).send().await.unwrap()).await
    }

    /// Skus in the cart with their quantities.
    pub(crate) async fn cart(&self) -> Vec<(String, u64)> {
        let cart = self.get("/api/cart").await;
        let lines = cart["lines"].as_array().unwrap();
        lines
            .iter()
            .map(|line| (line["sku"].as_str().unwrap().to_owned(), line["quantity"].as_u64().unwrap()))
            .collect()
    }
}
