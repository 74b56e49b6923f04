//! A refund: from the parsed request to its answer, and the list of all of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::{self, Answer};
use crate::book::RefundDecision;
use crate::charges::FULL;
use crate::clock;
use crate::handling::{Limits, written};
use crate::ledger::{Job, Record};
use crate::provider::Provider;
use crate::request::{Amount, RefundRequest};

pub(crate) async fn refund(provider: &Provider, key: &str, request: &RefundRequest, limits: &Limits) -> Answer {
    let rules = provider.faults.rules();
    let (entry, done) = {
        let mut book = provider.book();
        if Instant::now() > limits.decide_by() {
            return Answer::HangUp;
        }
        // As for charges: lines are numbered in the order they are written.
        let Ok(place) = provider.queue.try_reserve() else {
            return Answer::Overloaded("the ledger cannot keep up");
        };
        match book.refund(key, request, clock::now_ms(), &rules) {
            RefundDecision::Record(entry) => {
                let (sender, done) = oneshot::channel();
                place.send(Job { record: Record::Refund(entry.clone()), done: sender });
                (entry, done)
            }
            RefundDecision::Decided(entry) => return Answer::Refunded(entry),
            RefundDecision::KeyReused => return Answer::KeyReused,
            RefundDecision::InProgress => return Answer::InProgress,
            RefundDecision::NotFound => return Answer::NotFound,
            RefundDecision::AlreadyRefunded => return Answer::AlreadyRefunded,
            RefundDecision::NotWhole => return Answer::NotWhole,
            RefundDecision::Full => return FULL,
        }
    };
    if !written(provider, done, limits).await {
        return Answer::HangUp;
    }
    provider.book().commit_refund(&entry);
    Answer::Refunded(entry)
}

/// One row of `GET /refunds`. The form is fixed: the outside checker reads it.
#[derive(Debug, Serialize)]
struct RefundRow<'a> {
    id: String,
    key: &'a str,
    reference: &'a str,
    amount: &'a Amount,
    time: String,
}

/// Every refund ever made, on one page, like the ledger of charges.
#[derive(Debug, Serialize)]
struct RefundsPage<'a> {
    refunds: Vec<RefundRow<'a>>,
}

pub(crate) async fn get_refunds(State(provider): State<Arc<Provider>>) -> Response {
    let Ok(_permit) = provider.ledger_reads.acquire().await else {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "the provider is ending");
    };
    let refunds = provider.book().refunds();
    let rows = refunds.iter().map(|entry| RefundRow {
        id: entry.refund_id(),
        key: &entry.key,
        reference: &entry.request.reference,
        amount: &entry.request.amount,
        time: clock::rfc3339(entry.time_ms),
    });
    Json(RefundsPage { refunds: rows.collect() }).into_response()
}
