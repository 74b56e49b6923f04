//! `POST /api/checkout`: translates between HTTP and the one call that does it, by the table of semantics 2.3. Nothing is
//! decided here: which answer a key has, logic and the orders family know.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    CallError, Fingerprint, OperationId, Outcome, RequestId, canonical_json,
    orders::{self, OrderState},
    payments::PaymentToken,
    shop::{self, CheckoutRefusal, CheckoutReply},
};
use rpc::Scope;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    orders::{Address, Order},
    shapes::Money,
};
use crate::{
    app::App,
    body::ApiJson,
    identity::Caller,
    key::RequiredKey,
    problem::{Kind, Problem, RETRY_AFTER_S},
};

/// On every answer that was stored before this request came (IK-10).
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest field of an address, in characters.
const FIELD_CHARS_MAX: usize = 200;

/// A checkout.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    payment: Payment,
    /// What the customer saw and agreed to; the cart must still cost this.
    expected_total: Money,
    address: Option<Address>,
}

/// How it is paid.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payment {
    /// 3 to 64 of `A-Z a-z 0-9 _`; the sandbox knows tok_ok, tok_declined, tok_slow and more.
    #[schema(value_type = String, example = "tok_ok")]
    token: PaymentToken,
}

/// Buys what is in the cart: one key, one order, one charge, however often it is sent.
#[utoipa::path(
    post,
    path = "/api/checkout",
    tag = "checkout",
    request_body = NewOrder,
    params(("Idempotency-Key" = String, Header, description = "16 to 255 of A-Z a-z 0-9 _ -, or a quoted string; keep it for every repeat")),
    responses(
        (status = 201, body = Order, description = "Bought; a repeat gets the same bytes and Idempotency-Replayed: true"),
        (status = 202, description = "Not known yet: look at Location, or repeat with the same key"),
        (status = 400, description = "The key is missing or malformed"),
        (status = 401, description = "No live session"),
        (status = 402, description = "Declined; a new try needs a new key"),
        (status = 409, description = "In progress, out of stock, total changed, cart empty or claimed, closed, or answered too long ago: see type"),
        (status = 422, description = "The body does not fit, or the key belongs to another request"),
        (status = 503, description = "Not executed, not known, or orders are out of reach: repeat with the same key")
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn checkout(
    State(app): State<App>,
    Caller(session): Caller,
    RequiredKey(key): RequiredKey,
    ApiJson { content: order, value }: ApiJson<NewOrder>,
) -> Result<Response, Problem> {
    check(&order)?;
    // Of the parsed body: spaces and the order of keys make no other request, any value does (IK-4).
    let request = json!({ "method": "POST", "route": "/api/checkout", "body": value });
    let request = shop::Checkout {
        session,
        fingerprint: Fingerprint::of(canonical_json(&request).as_bytes()),
        payment: order.payment.token,
        expected_total: order.expected_total.into(),
        address: order.address.map(orders::Address::from),
    };
    match call(&app, request, key).await {
        Ok(CheckoutReply::Ended { answer, replayed }) => Ok(ended(answer, replayed)),
        Ok(CheckoutReply::Pending { order, state }) => Ok(pending(order, state)),
        Err(error) => Err(failed(error)),
    }
}

/// On a task of its own: a client that hangs up must not stop the resends to other logic nodes (IK-8).
async fn call(app: &App, request: shop::Checkout, key: RequestId) -> Outcome<shop::Checkout> {
    let logic = app.logic.clone();
    let work = async move { logic.call(&request, key).await };
    let task = match Scope::current() {
        Some(scope) => app.tasks.spawn(scope.run(work)),
        None => app.tasks.spawn(work),
    };
    task.await.unwrap_or_else(|error| Err(CallError::Unknown(format!("the call's task ended: {error}"))))
}

fn check(order: &NewOrder) -> Result<(), Problem> {
    let token = &order.payment.token.0;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !(3..=64).contains(&token.len()) || !token.bytes().all(allowed) {
        return Err(Problem::new(Kind::BadPaymentToken, "payment.token has 3 to 64 of A-Z a-z 0-9 and _"));
    }
    let Some(Address { name, line1, line2, city, postcode, country }) = &order.address else { return Ok(()) };
    let fields = [("name", name), ("line1", line1), ("city", city), ("postcode", postcode), ("country", country)];
    let all = fields.into_iter().chain(line2.iter().map(|text| ("line2", text)));
    for (name, text) in all {
        if !(1..=FIELD_CHARS_MAX).contains(&text.chars().count()) {
            let detail = format!("address.{name} has 1 to {FIELD_CHARS_MAX} characters");
            return Err(Problem::new(Kind::BadAddress, detail));
        }
    }
    Ok(())
}

/// The stored answer, rendered by a pure function, so that each repeat gets the same bytes (IK-10).
fn ended(answer: orders::Answer, replayed: bool) -> Response {
    let mut response = match answer {
        orders::Answer::Completed(order) => {
            let location = [(header::LOCATION, path_of(order.id))];
            (StatusCode::CREATED, location, Json(Order::from(order))).into_response()
        }
        orders::Answer::Declined { order, code } => Problem::new(Kind::Declined, format!("the provider said {code}"))
            .member("code", code)
            .keyed(Some((order, OrderState::Declined)), true)
            .into_response(),
        orders::Answer::OutOfStock { order, sku, available } => {
            Problem::new(Kind::OutOfStock, format!("{available} pieces of {sku} are left"))
                .member("sku", sku.as_str())
                .member("available", available)
                .keyed(Some((order, OrderState::Refused)), true)
                .into_response()
        }
        orders::Answer::Closed { order, proven } => {
            let detail = if proven {
                "its time was over before anything was sent to the payment provider"
            } else {
                "a person closed this checkout without a charge on record"
            };
            Problem::new(Kind::OperationAbandoned, detail)
                .keyed(Some((order, OrderState::Refused)), proven)
                .into_response()
        }
    };
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn pending(order: OperationId, state: OrderState) -> Response {
    let body = json!({
        "id": order, "state": state, "operation_ref": order, "operation_state": state, "safe_new_key": false,
    });
    let headers = [(header::LOCATION, path_of(order)), (header::RETRY_AFTER, RETRY_AFTER_S.to_string())];
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}

fn failed(error: CallError<CheckoutRefusal>) -> Problem {
    match error {
        CallError::Refused(refusal) => refused(refusal),
        // The key may stand for an order already: only the same key finds out.
        lost => Problem::of_failure(lost, refused).keyed(None, false),
    }
}

/// A new key is safe only where it is certain that this one stands for nothing.
fn refused(refusal: CheckoutRefusal) -> Problem {
    match refusal {
        CheckoutRefusal::Unauthenticated => Problem::unauthenticated(),
        // Not a safe new key: an earlier request with this one may have claimed it at the home site (semantics 2.3, "store
        // down: same key").
        CheckoutRefusal::HomeUnreachable { site } => Problem::home_unreachable(&site).keyed(None, false),
        CheckoutRefusal::CartEmpty => Problem::new(Kind::CartEmpty, "the cart has no lines").keyed(None, true),
        CheckoutRefusal::TotalChanged { total } => {
            let total_now = serde_json::to_value(Money::from(total)).unwrap_or_default();
            Problem::new(Kind::TotalChanged, format!("the cart costs {total} now"))
                .member("total", total_now)
                .keyed(None, true)
        }
        CheckoutRefusal::PaymentsBusy { retry_after_ms } => {
            Problem::new(Kind::PaymentsBusy, "too many customers are paying at this moment; nothing was begun")
                .retry_after_s(retry_after_ms.div_ceil(1_000))
                .keyed(None, true)
        }
        CheckoutRefusal::KeyReused => {
            Problem::new(Kind::KeyReused, "this key came with another body before").keyed(None, false)
        }
        CheckoutRefusal::CartClaimed { order } => {
            located(Problem::new(Kind::CartClaimed, "these lines belong to another checkout"), order)
                .member("operation_ref", order.to_string())
                .keyed(None, false)
        }
        CheckoutRefusal::ResultExpired { order, state } => {
            located(Problem::new(Kind::ResultExpired, "the answer to this key was kept for a while and is gone"), order)
                .keyed(Some((order, state)), false)
        }
        CheckoutRefusal::InProgress { order } => {
            Problem::new(Kind::InProgress, "the first request with this key is not over yet")
                .retry_after_s(RETRY_AFTER_S)
                .keyed(Some((order, OrderState::Accepted)), false)
        }
    }
}

fn located(problem: Problem, order: OperationId) -> Problem {
    match HeaderValue::from_str(&path_of(order)) {
        Ok(location) => problem.header(header::LOCATION, location),
        Err(_) => problem,
    }
}

fn path_of(order: OperationId) -> String {
    format!("/api/orders/{order}")
}
