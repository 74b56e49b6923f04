//! From the arrival of a request that moves money to its answer, within the maximum handling time.
//!
//! Handling runs in a task of its own, because a handler ends when its caller hangs up and handling must not: the
//! shop has to count a call that it gave up as one that may still take effect, and `GET /stats` counts it the same
//! way. How long it may take effect is bounded: `handling_max` after its arrival a request is decided or forgotten,
//! whatever its token or the faults say. So "not found" is the truth about a request that arrived that long ago. The
//! time that a request spends on its way here is the network's; against that stands `not_after_ms`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, HangUp};
use crate::charges;
use crate::faults::Fault;
use crate::provider::{Provider, Waits};
use crate::refunds;
use crate::request::{BODY_MAX_BYTES, ChargeRequest, RefundRequest, idempotency_key};

/// A body up to this size is read to its end, so that its sender can read the refusal instead of a reset.
const BODY_READ_MAX_BYTES: usize = 4 * BODY_MAX_BYTES;
/// Part of the handling time that a body may take to arrive.
const BODY_SHARE: u32 = 2;
/// Part of the handling time that is kept for the disk: after the rest of it nothing new is decided.
const DISK_SHARE: u32 = 10;

/// When the handling of one request has to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    arrived: Instant,
    max: Duration,
}

impl Limits {
    pub(crate) fn from_now(waits: &Waits) -> Self {
        Self { arrived: Instant::now(), max: waits.handling_max }
    }

    /// Everything has ended by then.
    pub(crate) fn end(&self) -> Instant {
        self.arrived + self.max
    }

    /// Nothing is decided after this.
    pub(crate) fn decide_by(&self) -> Instant {
        self.end() - self.max / DISK_SHARE
    }

    /// The latest start of a decision that waited for its turn: early enough for a busy machine to make it in time.
    pub(crate) fn late(&self) -> Instant {
        self.decide_by() - self.max / DISK_SHARE
    }

    fn body(&self) -> Instant {
        self.arrived + self.max / BODY_SHARE
    }
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Charge,
    Refund,
}

pub(crate) async fn post_charge(State(provider): State<Arc<Provider>>, request: Request) -> Response {
    handle(provider, request, Call::Charge).await
}

pub(crate) async fn post_refund(State(provider): State<Arc<Provider>>, request: Request) -> Response {
    handle(provider, request, Call::Refund).await
}

async fn handle(provider: Arc<Provider>, request: Request, call: Call) -> Response {
    let limits = Limits::from_now(&provider.waits);
    let in_flight = provider.stats.enter();
    let tasks = provider.tasks.clone();
    let handling = tasks.spawn(async move {
        let response = answer(&provider, request, call, &limits).await.into_response();
        // Handed over with the answer: if the caller has gone meanwhile, both are dropped, and it counts as unanswered.
        (response, in_flight)
    });
    // Handling is never aborted, so an error here is its panic, and its outcome is unknown.
    let Ok((response, in_flight)) = handling.await else { return Answer::HangUp.into_response() };
    if response.extensions().get::<HangUp>().is_none() {
        in_flight.answered(response.status());
    }
    response
}

async fn answer(provider: &Arc<Provider>, request: Request, call: Call, limits: &Limits) -> Answer {
    let (head, body) = request.into_parts();
    let body = match read_body(body, limits).await {
        Ok(body) => body,
        Err(why) => return Answer::BadInput(why),
    };
    let Ok(_permit) = provider.permits.clone().try_acquire_owned() else {
        return Answer::Overloaded("too many charges and refunds at once");
    };
    match provider.faults.next() {
        Some(Fault::BlackHole) => {
            let end = limits.end().min(Instant::now() + provider.waits.black_hole);
            wait(end, &provider.stop).await;
            return Answer::HangUp;
        }
        Some(Fault::RateLimit) => return Answer::RateLimited,
        Some(Fault::Fail) => return Answer::Failed,
        None => {}
    }
    let latency = provider.faults.latency();
    if !latency.is_zero() {
        // As all waits, no longer than leaves time for the decision.
        wait(limits.late().min(Instant::now() + latency), &provider.abandon).await;
    }
    let key = match idempotency_key(&head.headers) {
        Ok(key) => key,
        Err(why) => return Answer::BadInput(why),
    };
    match call {
        Call::Charge => match ChargeRequest::parse(&body) {
            Ok(request) => charges::charge(provider, &key, &request, limits).await,
            Err(why) => Answer::BadInput(why),
        },
        Call::Refund => match RefundRequest::parse(&body) {
            Ok(request) => refunds::refund(provider, &key, &request, limits).await,
            Err(why) => Answer::BadInput(why),
        },
    }
}

async fn read_body(body: Body, limits: &Limits) -> Result<Bytes, String> {
    match tokio::time::timeout_at(limits.body(), axum::body::to_bytes(body, BODY_READ_MAX_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(format!("the body is larger than {BODY_MAX_BYTES} bytes, or broke off")),
        Err(_) => Err(format!("the body took longer than {} ms", (limits.max / BODY_SHARE).as_millis())),
    }
}

/// Waits until a decision is on the disk. False: nobody can say whether it is, and the process is about to end.
pub(crate) async fn written(provider: &Provider, done: oneshot::Receiver<()>, limits: &Limits) -> bool {
    match tokio::time::timeout_at(limits.end(), done).await {
        Ok(written) => written.is_ok(),
        Err(_) => {
            provider.overdue.cancel();
            false
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Whole,
    CutShort,
}

pub(crate) async fn wait(until: Instant, cut_short: &CancellationToken) -> Waited {
    tokio::select! {
        () = tokio::time::sleep_until(until) => Waited::Whole,
        () = cut_short.cancelled() => Waited::CutShort,
    }
}

#[cfg(test)]
mod tests;
