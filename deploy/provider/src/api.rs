//! The routes, and the handlers that only look or switch.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use crate::answer;
use crate::charges::{Provider, post_charge};
use crate::clock;
use crate::faults::{Faults, FaultsChange};
use crate::request::{Amount, BODY_MAX_BYTES};
use crate::stats::Counts;

pub(crate) fn router(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/charges", post(post_charge))
        .route("/charges/by-reference/{reference}", get(charge_by_reference))
        .route("/ledger", get(ledger))
        .route("/stats", get(stats))
        .route("/admin/faults", get(faults).post(change_faults))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(async || answer::error(StatusCode::NOT_FOUND, "not_found", "there is no such page"))
        .method_not_allowed_fallback(async || {
            answer::error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this page has other methods")
        })
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(provider)
}

/// One row of `GET /ledger`. The form is fixed: the outside checker reads it.
#[derive(Debug, Serialize)]
struct LedgerRow<'a> {
    key: &'a str,
    reference: &'a str,
    amount: &'a Amount,
    time: String,
}

async fn ledger(State(provider): State<Arc<Provider>>) -> Response {
    let Ok(_permit) = provider.ledger_reads.acquire().await else {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "the provider is ending");
    };
    let charges = provider.book().charges();
    let rows = charges.iter().map(|entry| LedgerRow {
        key: &entry.key,
        reference: &entry.request.reference,
        amount: &entry.request.amount,
        time: clock::rfc3339(entry.time_ms),
    });
    Json(LedgerPage { charges: rows.collect() }).into_response()
}

/// Every charge ever made, on one page: an audit that pages can miss a row.
#[derive(Debug, Serialize)]
struct LedgerPage<'a> {
    charges: Vec<LedgerRow<'a>>,
}

async fn charge_by_reference(State(provider): State<Arc<Provider>>, Path(reference): Path<String>) -> Response {
    let entry = provider.book().by_reference(&reference);
    match entry {
        Some(entry) => answer::charge(&entry),
        // Not proof of "not charged": a request may still be on its way here.
        None => answer::error(StatusCode::NOT_FOUND, "not_found", "no charge carries this reference so far"),
    }
}

async fn stats(State(provider): State<Arc<Provider>>) -> Json<Counts> {
    Json(provider.stats.counts())
}

async fn faults(State(provider): State<Arc<Provider>>) -> Json<Faults> {
    Json(provider.faults.get())
}

async fn change_faults(State(provider): State<Arc<Provider>>, body: Bytes) -> Response {
    let changed = serde_json::from_slice::<FaultsChange>(&body)
        .map_err(|error| format!("the body is not a change of faults: {error}"))
        .and_then(|change| provider.faults.change(&change));
    match changed {
        Ok(faults) => Json(faults).into_response(),
        Err(why) => answer::error(StatusCode::BAD_REQUEST, "bad_request", &why),
    }
}

async fn live() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn ready(State(provider): State<Arc<Provider>>) -> Response {
    if provider.stop.is_cancelled() {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the provider is ending");
    }
    Json(json!({"status": "ok"})).into_response()
}
