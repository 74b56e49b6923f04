//! Every answer to `POST /charges` and `POST /refunds`, in one table: status, code, and what the caller may conclude.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::book::{Entry, Outcome, RefundEntry};
use crate::clock;
use crate::request::Amount;

#[derive(Debug)]
pub(crate) enum Answer {
    /// 200: charged, now or before.
    Charged(Arc<Entry>),
    /// 402, definite: not charged under this key, and never will be.
    Declined,
    /// 410, definite: not charged under this key, and never will be.
    TooLate,
    /// 422: this call did nothing; the key belongs to other parameters.
    KeyReused,
    /// 409: unknown; another call is executing.
    InProgress,
    /// 409, definite: not charged under this key; the reference was charged under another.
    ReferenceUsed,
    /// 200: refunded, now or before.
    Refunded(Arc<RefundEntry>),
    /// 404: not refunded; no charge carries the reference so far.
    NotFound,
    /// 409, definite: not refunded under this key; the charge was refunded under another.
    AlreadyRefunded,
    /// 422: not refunded; only the whole amount of the charge can be.
    NotWhole,
    /// 429: nothing happened.
    RateLimited,
    /// 503: nothing happened.
    Overloaded(&'static str),
    /// 500: unknown.
    Failed,
    /// 400: nothing happened.
    BadInput(String),
    /// The connection closes without an answer: unknown.
    HangUp,
}

/// Not proof of "not charged": a request may still be on its way here.
pub(crate) const NO_CHARGE: &str = "no charge carries this reference so far";

/// Marks a response that must not be sent; the server closes its connection instead.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(crate) struct HangUp;

/// A refund as `POST /refunds` shows it.
#[derive(Debug, Serialize)]
struct Refund<'a> {
    id: String,
    reference: &'a str,
    amount: &'a Amount,
}

/// A charge as `POST /charges` and `GET /charges/by-reference/{reference}` show it.
#[derive(Debug, Serialize)]
struct Charge<'a> {
    id: String,
    status: &'static str,
    key: &'a str,
    reference: &'a str,
    amount: &'a Amount,
    time: String,
}

impl Answer {
    pub(crate) fn decided(entry: Arc<Entry>) -> Self {
        match entry.outcome {
            Outcome::Charged => Self::Charged(entry),
            Outcome::Declined => Self::Declined,
            Outcome::TooLate => Self::TooLate,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Charged(entry) => charge(&entry),
            Self::Declined => {
                let body = json!({"status": "declined", "code": "card_declined", "message": "the card was declined"});
                (StatusCode::PAYMENT_REQUIRED, Json(body)).into_response()
            }
            Self::TooLate => error(StatusCode::GONE, "too_late", "not_after_ms had passed; nothing was charged"),
            Self::KeyReused => error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_reused",
                "this Idempotency-Key was used with other parameters; repeat them exactly or use a new key",
            ),
            Self::InProgress => {
                error(StatusCode::CONFLICT, "in_progress", "another request with this key or reference is executing")
            }
            Self::ReferenceUsed => {
                error(StatusCode::CONFLICT, "reference_used", "another key has charged this reference")
            }
            Self::Refunded(entry) => {
                let RefundEntry { request, .. } = &*entry;
                let refund = Refund { id: entry.refund_id(), reference: &request.reference, amount: &request.amount };
                Json(refund).into_response()
            }
            Self::NotFound => error(StatusCode::NOT_FOUND, "not_found", NO_CHARGE),
            Self::AlreadyRefunded => {
                error(StatusCode::CONFLICT, "already_refunded", "another key has refunded this charge")
            }
            Self::NotWhole => error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "full_amount_only",
                "only the whole amount of the charge can be refunded; send the amount that was charged",
            ),
            Self::RateLimited => retry_later(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests"),
            Self::Overloaded(why) => retry_later(StatusCode::SERVICE_UNAVAILABLE, "overloaded", why),
            Self::Failed => error(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the provider failed"),
            Self::BadInput(why) => error(StatusCode::BAD_REQUEST, "bad_request", &why),
            Self::HangUp => {
                let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                response.extensions_mut().insert(HangUp);
                response
            }
        }
    }
}

pub(crate) fn charge(entry: &Entry) -> Response {
    Json(Charge {
        id: entry.charge_id(),
        status: "charged",
        key: &entry.key,
        reference: &entry.request.reference,
        amount: &entry.request.amount,
        time: clock::rfc3339(entry.time_ms),
    })
    .into_response()
}

/// The form of every error: a stable code for programs, a message for people.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"code": code, "message": message}))).into_response()
}

fn retry_later(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = error(status, code, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
