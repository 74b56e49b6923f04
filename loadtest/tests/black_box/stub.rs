//! A shop and a provider in one small server, for tests of the load test only: faithful, except for the one fault it
//! is told to have.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// What is wrong with this shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The second order is charged and acknowledged, then forgotten.
    LoseOrder,
    /// The second order is charged twice.
    DoubleCharge,
    /// The second order is charged a penny too much.
    WrongAmount,
    /// The second order is acknowledged without a charge.
    NoCharge,
    /// Something else is charged, too.
    StrayCharge,
    /// Every checkout works, but the first reply to each key is a 500.
    LoseReplies,
    /// Every checkout works, but every reply is a 500: its customer never learns.
    NeverReply,
    /// Every checkout is a 503 without effect.
    Closed,
    /// Every third request is answered 503 at once.
    Shaky,
    /// Checkouts are answered with 202 and complete at the second poll.
    Slow,
    /// A 202, and the order stays open for ever.
    Stuck,
    /// The price changes once per session, between cart and checkout.
    PriceChanges,
    /// The first add of each session counts twice.
    DoubleAdd,
}

#[derive(Debug, Default)]
struct Session {
    lines: BTreeMap<String, i64>,
    orders: BTreeMap<String, Value>,
    by_key: BTreeMap<String, String>,
    polls: u32,
    price_changed: bool,
}

#[derive(Debug)]
struct Shop {
    fault: Fault,
    requests: u64,
    orders: u64,
    sessions: BTreeMap<String, Session>,
    ledger: Vec<Value>,
    /// Orders made so far, for tests that wait for some.
    made: watch::Sender<u64>,
}

type Shared = Arc<Mutex<Shop>>;

/// A running stub; it ends when dropped.
pub(crate) struct Stub {
    pub(crate) url: String,
    pub(crate) orders: watch::Receiver<u64>,
    _server: JoinSet<()>,
}

pub(crate) async fn start(fault: Fault) -> Stub {
    let ledger = vec![charge("from-an-earlier-run", 1)];
    let (made, orders_made) = watch::channel(0);
    let sessions = BTreeMap::new();
    let shop: Shared = Arc::new(Mutex::new(Shop { fault, requests: 0, orders: 0, sessions, ledger, made }));
    let routes = Router::new()
        .route("/", get(async || "<html>the shelves</html>"))
        .route("/products/{sku}", get(async || "<html>a product</html>"))
        .route("/api/products", get(products))
        .route("/api/products/{sku}", get(async |Path(sku): Path<String>| Json(product(&sku))))
        .route("/api/session", post(open_session))
        .route("/api/cart/lines", post(add))
        .route("/api/cart", get(cart))
        .route("/api/checkout", post(checkout))
        .route("/api/orders", get(orders))
        .route("/api/orders/{id}", get(order))
        .route("/ledger", get(async |State(shop): State<Shared>| Json(json!({"charges": shop.lock().unwrap().ledger}))))
        .with_state(shop);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Stub { url, orders: orders_made, _server: server }
}

fn pounds(amount_minor: i64) -> Value {
    json!({"amount_minor": amount_minor, "currency": "GBP"})
}

fn charge(id: &str, amount_minor: i64) -> Value {
    json!({"key": id, "reference": id, "amount": pounds(amount_minor), "time": "2026-01-01T00:00:00Z"})
}

fn problem(status: u16, name: &str) -> Response {
    let body = Json(json!({"type": format!("https://shop.example/problems/{name}")}));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn price(sku: &str) -> i64 {
    500 + i64::from(sku.as_bytes().last().copied().unwrap_or(0))
}

fn product(sku: &str) -> Value {
    json!({"sku": sku, "title": sku, "category": "books & trains", "price": pounds(price(sku)), "available": 9})
}

async fn products() -> Json<Value> {
    let items: Vec<Value> = (0..5).map(|number| product(&format!("SKU-{number}"))).collect();
    Json(json!({"items": items, "next": "a cursor"}))
}

async fn open_session(State(shop): State<Shared>) -> Response {
    let mut shop = shop.lock().unwrap();
    let token = format!("session-{}", shop.sessions.len());
    shop.sessions.insert(token.clone(), Session::default());
    (StatusCode::CREATED, Json(json!({"token": token}))).into_response()
}

/// The session's token, if it is one; counts requests for the shaky shop.
#[expect(clippy::result_large_err, reason = "a refusal is a response, and a stub need not be fast")]
fn enter(shop: &mut Shop, headers: &HeaderMap) -> Result<String, Response> {
    shop.requests += 1;
    if shop.fault == Fault::Shaky && shop.requests.is_multiple_of(3) {
        return Err((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response());
    }
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.filter(|token| shop.sessions.contains_key(*token)).map(str::to_owned);
    token.ok_or_else(|| problem(401, "no-session"))
}

fn cart_of(session: &Session) -> Value {
    let surcharge = i64::from(session.price_changed);
    let lines: Vec<Value> = session
        .lines
        .iter()
        .map(|(sku, quantity)| {
            let unit = price(sku) + surcharge;
            let (unit_price, line_total) = (pounds(unit), pounds(unit * quantity));
            json!({"sku": sku, "title": sku, "quantity": quantity, "unit_price": unit_price, "line_total": line_total})
        })
        .collect();
    let total = lines.iter().map(|line| line["line_total"]["amount_minor"].as_i64().unwrap()).sum();
    json!({"id": "cart", "lines": lines, "total": pounds(total)})
}

async fn add(State(shop): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut shop = shop.lock().unwrap();
    let token = match enter(&mut shop, &headers) {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    let twice = shop.fault == Fault::DoubleAdd;
    let session = shop.sessions.get_mut(&token).unwrap();
    let factor = if twice && session.lines.is_empty() { 2 } else { 1 };
    *session.lines.entry(body["sku"].as_str().unwrap().to_owned()).or_default() +=
        factor * body["quantity"].as_i64().unwrap();
    Json(cart_of(session)).into_response()
}

async fn cart(State(shop): State<Shared>, headers: HeaderMap) -> Response {
    let mut shop = shop.lock().unwrap();
    match enter(&mut shop, &headers) {
        Ok(token) => Json(cart_of(&shop.sessions[&token])).into_response(),
        Err(refusal) => refusal,
    }
}

async fn checkout(State(shop): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut shop = shop.lock().unwrap();
    let shop = &mut *shop;
    let token = match enter(shop, &headers) {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let session = shop.sessions.get_mut(&token).unwrap();
    if let Some(id) = session.by_key.get(&key) {
        if shop.fault == Fault::NeverReply {
            return problem(500, "broken");
        }
        return (StatusCode::CREATED, Json(session.orders[id].clone())).into_response();
    }
    if shop.fault == Fault::Closed {
        return problem(503, "closed");
    }
    if body["payment"]["token"] == "tok_declined" {
        return problem(402, "declined");
    }
    if shop.fault == Fault::PriceChanges {
        session.price_changed = true;
    }
    let cart = cart_of(session);
    if cart["total"] != body["expected_total"] {
        return problem(409, "total-changed");
    }
    shop.orders += 1;
    shop.made.send_replace(shop.orders);
    let id = format!("order-{}", shop.orders);
    let state = if matches!(shop.fault, Fault::Slow | Fault::Stuck) { "accepted" } else { "completed" };
    let order = json!({"id": id, "state": state, "lines": cart["lines"], "total": cart["total"], "created_at": "-"});
    let total = cart["total"]["amount_minor"].as_i64().unwrap();
    session.by_key.insert(key, id.clone());
    session.lines.clear();
    let second = shop.orders == 2;
    if !(second && shop.fault == Fault::LoseOrder) {
        session.orders.insert(id.clone(), order.clone());
    }
    match shop.fault {
        Fault::NoCharge if second => {}
        Fault::WrongAmount if second => shop.ledger.push(charge(&id, total + 1)),
        Fault::DoubleCharge if second => shop.ledger.extend([charge(&id, total), charge(&id, total)]),
        Fault::StrayCharge if second => shop.ledger.extend([charge(&id, total), charge("nobody", 5)]),
        _ => shop.ledger.push(charge(&id, total)),
    }
    match shop.fault {
        Fault::LoseReplies | Fault::NeverReply => problem(500, "broken"),
        Fault::Slow | Fault::Stuck => {
            (StatusCode::ACCEPTED, [(header::LOCATION, format!("/api/orders/{id}"))], Json(order)).into_response()
        }
        _ => (StatusCode::CREATED, Json(order)).into_response(),
    }
}

async fn orders(State(shop): State<Shared>, headers: HeaderMap) -> Response {
    let mut shop = shop.lock().unwrap();
    match enter(&mut shop, &headers) {
        Ok(token) => {
            let items: Vec<&Value> = shop.sessions[&token].orders.values().collect();
            Json(json!({"items": items, "next": null})).into_response()
        }
        Err(refusal) => refusal,
    }
}

async fn order(State(shop): State<Shared>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let mut shop = shop.lock().unwrap();
    let token = match enter(&mut shop, &headers) {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    let slow = shop.fault == Fault::Slow;
    let session = shop.sessions.get_mut(&token).unwrap();
    session.polls += 1;
    let complete = slow && session.polls >= 2;
    match session.orders.get_mut(&id) {
        Some(order) => {
            if complete {
                order["state"] = json!("completed");
            }
            Json(order.clone()).into_response()
        }
        None => problem(404, "not-found"),
    }
}
