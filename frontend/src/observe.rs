//! What surrounds every public request: a deadline and a trace that travel to all tiers, a span, and one figure in the
//! metrics for what the client really got.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use opentelemetry::KeyValue;
use rpc::{Scope, TraceContext};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{app::App, regulation};

/// Names the request to whoever reads the logs.
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Sets deadline, class and trace for all work inside, and records the request by its route template: a path would make a label
/// of every sku.
pub(crate) async fn observe(
    State(app): State<App>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = matched.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let given = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let fresh = TraceContext::start(&app.seams);
    // The client's trace, but our own span: what happens from here on is this node's work.
    let trace =
        given.and_then(TraceContext::parse).map_or(fresh, |given| TraceContext { span_id: fresh.span_id, ..given });
    let trace_id = format!("{:032x}", trace.trace_id);
    let regulation = regulation::of(&method, request.uri().path());
    let scope = Scope::new(regulation.within, trace).of(regulation.class);
    let span = tracing::info_span!("request", %method, route, trace_id, node = app.node_id);
    let started = Instant::now();
    let mut response = scope.run(app.slow_bodies.clone().watch(next.run(request))).instrument(span).await;
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status();
    tracing::debug!(target: "access", %method, route, status = status.as_u16(), seconds, trace_id, node = app.node_id, "answered");
    app.request_duration.record(
        seconds,
        &[
            KeyValue::new("route", route),
            KeyValue::new("method", method_label(&method)),
            KeyValue::new("status", status_class(status)),
        ],
    );
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(TRACE_ID, value);
    }
    response
}

/// Methods are client's text: anything unknown shares one label.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
