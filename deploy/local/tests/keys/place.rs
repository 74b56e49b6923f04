//! Where a case happens: a shop on one of the two databases, and what can be seen of it.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::postgres::Postgres;

use crate::{
    cluster::Shop,
    customer::{Answer, Customer},
};

pub(crate) const BOOK: &str = "pride-and-prejudice";
pub(crate) const OTHER_BOOK: &str = "emma";

/// A shop and, if it is not on SQLite, its database's server. In this order: the shop ends first.
pub(crate) struct Place {
    pub(crate) shop: Shop,
    server: Option<Arc<Postgres>>,
}

impl Place {
    pub(crate) async fn on_sqlite() -> Self {
        Self { shop: Shop::start().await, server: None }
    }

    pub(crate) async fn on_postgresql() -> Self {
        let server = Arc::new(server().await);
        let shop = Shop::start_with(|up| _ = up.env("TRESTLE_DATABASE", server.uri())).await;
        Self { shop, server: Some(server) }
    }

    /// Where the tables of a family are.
    pub(crate) fn database(&self, family: &str) -> String {
        let file = || format!("sqlite://{}/{family}.db", self.shop.data().display());
        self.server.as_ref().map_or_else(file, |server| server.uri())
    }

    /// Nobody can read or write orders: the server is down, or both orders nodes stand still.
    pub(crate) async fn take_orders_away(&self) {
        match self.server.clone() {
            Some(server) => tokio::task::spawn_blocking(move || server.stop()).await.unwrap(),
            None => ["orders-1", "orders-2"].iter().for_each(|node| signal(&self.shop, "pause", node)),
        }
    }

    pub(crate) async fn give_orders_back(&self) {
        match self.server.clone() {
            Some(server) => tokio::task::spawn_blocking(move || server.start_again()).await.unwrap(),
            None => ["orders-1", "orders-2"].iter().for_each(|node| signal(&self.shop, "resume", node)),
        }
    }
}

/// A server without fsync: what is tested survives no power failure.
pub(crate) async fn server() -> Postgres {
    tokio::task::spawn_blocking(Postgres::fast).await.unwrap()
}

/// `trestle kill|pause|resume NODE`.
pub(crate) fn signal(shop: &Shop, what: &str, node: &str) {
    let done = shop.trestle(&[what, node]);
    assert!(done.status.success(), "{what} {node}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Switches faults and promises of the provider.
pub(crate) async fn provider(shop: &Shop, faults: Value) {
    let url = format!("{}/admin/faults", shop.provider_url());
    let answer = shop.http.post(url).json(&faults).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// The body that `Customer::checkout_for` sends.
pub(crate) fn order(token: &str, total: &Value) -> Value {
    json!({"payment": {"token": token}, "expected_total": total})
}

/// A checkout with a body as it is, byte by byte; none if no answer came.
pub(crate) async fn send(shop: &Shop, frontend: u16, session: &str, key: &str, body: String) -> Option<Answer> {
    let request = shop.http.post(shop.url(frontend, "/api/checkout")).bearer_auth(session);
    let request = request.header("idempotency-key", key).header("content-type", "application/json").body(body);
    Some(Answer::read(request.send().await.ok()?).await)
}

/// The slug of a problem document.
pub(crate) fn slug(answer: &Answer) -> String {
    answer.json()["type"].as_str().and_then(|kind| kind.rsplit(['/', '#']).next()).unwrap_or_default().to_owned()
}

/// What the customer's list shows.
pub(crate) async fn orders(customer: &Customer<'_>) -> Vec<Value> {
    customer.get("/api/orders").await["items"].as_array().unwrap().clone()
}

/// Waits until the customer has an order in this state; answers it.
pub(crate) async fn until_order(shop: &Shop, customer: &Customer<'_>, state: &str) -> Value {
    let mut found = Value::Null;
    shop.until(&format!("an order is {state}"), async || {
        found = orders(customer).await.into_iter().next().unwrap_or_default();
        found["state"] == state
    })
    .await;
    found
}

/// Exactly one order of this customer, completed, for this total, with exactly one charge for exactly that.
pub(crate) async fn bought_once(shop: &Shop, customer: &Customer<'_>, total: &Value) -> Value {
    let orders = orders(customer).await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!((&orders[0]["state"], &orders[0]["total"]), (&json!("completed"), total));
    let charges = charges_of(shop, &orders[0]).await;
    assert_eq!(charges.len(), 1, "{charges:?}");
    assert_eq!(&charges[0]["amount"], total, "charged is what was agreed");
    orders[0].clone()
}

/// The charges behind one order.
pub(crate) async fn charges_of(shop: &Shop, order: &Value) -> Vec<Value> {
    shop.ledger().await.into_iter().filter(|charge| charge["reference"] == order["id"]).collect()
}

/// Sends the same until the answer is 201; answers it.
pub(crate) async fn insist(shop: &Shop, customer: &Customer<'_>, key: &str, token: &str, total: &Value) -> Answer {
    let (mut frontend, mut bought) = (0, None);
    shop.until("it is bought", async || {
        frontend = frontend % 2 + 1;
        let answer = send(shop, frontend, &customer.token, key, order(token, total).to_string()).await;
        let Some(answer) = answer else { return false };
        assert!([201, 202, 409, 503].contains(&answer.status), "{}", answer.text());
        let is_bought = answer.status == 201;
        bought = Some(answer);
        is_bought
    })
    .await;
    bought.unwrap()
}
