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
use crate::clock;
use crate::faults::{Faults, FaultsChange};
use crate::handling::{post_charge, post_refund};
use crate::provider::Provider;
use crate::refunds::get_refunds;
use crate::request::{Amount, BODY_MAX_BYTES};
use crate::stats::Counts;
use crate::webhooks::WebhookCounts;

pub(crate) fn router(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/charges", post(post_charge))
        .route("/charges/by-reference/{reference}", get(charge_by_reference))
        .route("/refunds", get(get_refunds).post(post_refund))
        .route("/ledger", get(ledger))
        .route("/stats", get(stats))
        .route("/admin/faults", get(faults).post(change_faults))
        .route("/admin/reset-stats", post(reset_stats))
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
    if !provider.faults.rules().permanent_reference {
        let why = "references are not unique now (permanent_reference is off), so none can be looked up";
        return answer::error(StatusCode::NOT_IMPLEMENTED, "not_supported", why);
    }
    let entry = provider.book().by_reference(&reference);
    match entry {
        Some(entry) => answer::charge(&entry),
        None => answer::error(StatusCode::NOT_FOUND, "not_found", answer::NO_CHARGE),
    }
}

/// `GET /stats`.
#[derive(Debug, Serialize)]
struct StatsPage {
    #[serde(flatten)]
    requests: Counts,
    webhooks: WebhookCounts,
}

async fn stats(State(provider): State<Arc<Provider>>) -> Json<StatsPage> {
    Json(StatsPage { requests: provider.stats.counts(), webhooks: provider.webhooks.counts() })
}

/// Starts all counts anew; what is in flight or waiting stays counted.
async fn reset_stats(State(provider): State<Arc<Provider>>) -> Json<StatsPage> {
    Json(StatsPage { requests: provider.stats.reset(), webhooks: provider.webhooks.reset() })
}

async fn faults(State(provider): State<Arc<Provider>>) -> Json<Faults> {
    Json(provider.faults.get())
}

async fn change_faults(State(provider): State<Arc<Provider>>, body: Bytes) -> Response {
    let changed = serde_json::from_slice::<FaultsChange>(&body)
        .map_err(|error| format!("the body is not a change of faults: {error}"))
        .and_then(|change| provider.faults.change(&change));
    match changed {
        Ok(faults) => {
            // The hold may be over.
            provider.webhooks.look_again();
            Json(faults).into_response()
        }
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
