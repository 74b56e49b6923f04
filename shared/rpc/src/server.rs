//! The server side of every operation: checks secret and deadline, decodes, issues the permit, calls the plain function,
//! and says in the answer which of the four outcomes it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use contract::{AtLeastOnce, CallError, Operation, Outcome, Strategy, WireKey as _};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use overload::{Class, Refused};
use runtime::{FailsOnPurpose, Metrics, Node};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    scope::{Scope, TraceContext, noting_shed},
    usual::Usual,
    wire::{self, WireRequest, WireResponse},
};

/// A caller that names no deadline gets this one.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(2);
/// No caller may hold a handler longer.
const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// Why a call was not executed for overload; one text, since callers go by the header.
const OVERLOADED: &str = "this node has all the calls it can work on";

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Route<A> = Box<dyn Fn(A, Call) -> BoxFuture<(WireResponse, &'static str)> + Send + Sync>;

/// One decoded call: key and body.
struct Call {
    key: Option<String>,
    body: Bytes,
}

/// The operations that a node serves, each a plain async function `(app, request, permit) -> Outcome`.
pub struct Ops<A> {
    app: A,
    routes: BTreeMap<&'static str, (&'static str, Route<A>)>,
    held: BTreeSet<&'static str>,
}

impl<A> fmt::Debug for Ops<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.keys()).finish()
    }
}

impl<A: Clone + Send + Sync + 'static> Ops<A> {
    /// No operations yet; `app` is handed to each function.
    pub const fn new(app: A) -> Self {
        Self { app, routes: BTreeMap::new(), held: BTreeSet::new() }
    }

    /// Serves an operation. Which one, and under which promise, is read off the function's signature.
    #[must_use]
    pub fn serve<O, F, R>(mut self, handler: F) -> Self
    where
        O: Operation,
        F: Fn(A, O, <O::Retry as Strategy>::Permit) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Outcome<O>> + Send + 'static,
    {
        let route: Route<A> = Box::new(move |app, call| {
            let handler = handler.clone();
            Box::pin(async move {
                match decode::<O>(call) {
                    Ok((request, permit)) => encode::<O>(handler(app, request, permit).await),
                    Err(reason) => {
                        (answer(StatusCode::BAD_REQUEST, Some("not-executed"), false, reason), "bad_request")
                    }
                }
            })
        });
        self.routes.insert(O::NAME, (<O::Retry as Strategy>::LABEL, route));
        self
    }

    /// Holds the operations served so far back until the node is ready: they are not executed while it starts. For
    /// nodes that copy their data from peers first: "unknown session" or "empty cart" would be a definite lie until then,
    /// and callers may come before their next probe, or because every other node failed them.
    ///
    /// Operations served after this are what the nodes of the family ask of each other. They are part of work that another
    /// node has admitted, so they pass admission: refused here, they would waste it, and two full nodes would wait for
    /// each other.
    #[must_use]
    pub fn hold_until_ready(mut self) -> Self {
        self.held = self.routes.keys().copied().collect();
        self
    }

    /// The names of all operations served, for the coverage test.
    pub fn names(&self) -> Vec<&'static str> {
        self.routes.keys().copied().collect()
    }

    /// The finished server of a node.
    pub fn build(self, node: &Node) -> OpServer {
        let (app, held) = (self.app, self.held);
        let routes = self
            .routes
            .into_iter()
            .map(|(name, (strategy, route))| {
                let app = app.clone();
                let call: BoundCall = Box::new(move |call| route(app.clone(), call));
                let regulated = held.is_empty() || held.contains(name);
                let usual = (strategy == AtLeastOnce::LABEL && regulated).then(Usual::default);
                (name, Bound { strategy, call, regulated, usual })
            })
            .collect();
        OpServer(Arc::new(Inner { node: node.clone(), routes, held, instruments: Instruments::new(&node.metrics) }))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that issues permits: the call was checked before")]
fn decode<O: Operation>(call: Call) -> Result<(O, <O::Retry as Strategy>::Permit), String> {
    let key = <O::Retry as Strategy>::Key::from_wire(call.key.as_deref())
        .ok_or_else(|| format!("{} needs the header {} with 16 to 255 visible ASCII characters", O::NAME, wire::KEY))?;
    let request = serde_json::from_slice(&call.body).map_err(|error| format!("{}: {error}", O::NAME))?;
    Ok((request, <O::Retry as Strategy>::permit(key, &call.body)))
}

fn encode<O: Operation>(outcome: Outcome<O>) -> (WireResponse, &'static str) {
    fn json(status: StatusCode, outcome: Option<&str>, value: &impl serde::Serialize) -> WireResponse {
        match serde_json::to_vec(value) {
            Ok(body) => answer(status, outcome, true, body),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, Some("unknown"), false, error.to_string()),
        }
    }
    match outcome {
        Ok(reply) => (json(StatusCode::OK, None, &reply), "ok"),
        Err(CallError::Refused(refusal)) => (json(StatusCode::CONFLICT, Some("refused"), &refusal), "refused"),
        Err(CallError::NotExecuted(reason)) => {
            (answer(StatusCode::SERVICE_UNAVAILABLE, Some("not-executed"), false, reason), "not_executed")
        }
        Err(CallError::Unknown(reason)) => {
            (answer(StatusCode::INTERNAL_SERVER_ERROR, Some("unknown"), false, reason), "unknown")
        }
    }
}

fn answer(status: StatusCode, outcome: Option<&str>, retry: bool, body: impl Into<Bytes>) -> WireResponse {
    let (status, outcome) = (status.as_u16(), outcome.map(str::to_owned));
    WireResponse { status, outcome, retry, body: body.into(), ..WireResponse::default() }
}

/// As a node that is broken and does not know it: another one may do better.
fn fails_on_purpose() -> WireResponse {
    answer(StatusCode::INTERNAL_SERVER_ERROR, Some("unknown"), true, "this node fails on purpose")
}

/// Not executed, because there is more to do than can be done.
fn overloaded() -> WireResponse {
    let body = Bytes::from_static(OVERLOADED.as_bytes());
    WireResponse { overloaded: true, ..answer(StatusCode::SERVICE_UNAVAILABLE, Some("not-executed"), true, body) }
}

type BoundCall = Box<dyn Fn(Call) -> BoxFuture<(WireResponse, &'static str)> + Send + Sync>;

/// An operation with its app.
struct Bound {
    strategy: &'static str,
    call: BoundCall,
    /// Whether it passes admission.
    regulated: bool,
    /// How long it usually takes, for operations that are no use when they end late.
    usual: Option<Usual>,
}

struct Inner {
    node: Node,
    routes: BTreeMap<&'static str, Bound>,
    held: BTreeSet<&'static str>,
    instruments: Instruments,
}

struct Instruments {
    duration: Histogram<f64>,
    unauthorized: Counter<u64>,
}

impl Instruments {
    fn new(metrics: &Metrics) -> Self {
        let meter = metrics.meter();
        Self {
            duration: meter
                .f64_histogram("trestle_operation_duration")
                .with_unit("s")
                .with_description("time to serve an operation, by operation, strategy and outcome")
                .with_boundaries(Metrics::duration_buckets())
                .build(),
            unauthorized: meter
                .u64_counter("trestle_unauthorized")
                .with_description("calls between tiers without the cluster's secret")
                .build(),
        }
    }
}

/// The finished server of a node; clones share it.
#[derive(Clone)]
pub struct OpServer(Arc<Inner>);

impl fmt::Debug for OpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.routes.keys()).finish()
    }
}

impl OpServer {
    /// Its HTTP routes: `POST /op/{name}` and, for callers' probes, `GET /health/ready`.
    pub fn router(&self) -> Router {
        let readiness = self.0.node.readiness.clone();
        Router::new()
            .route("/op/{name}", post(serve_http))
            .route("/health/ready", get(move || async move { readiness.answer() }))
            .with_state(self.clone())
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0.node.readiness.is_ready()
    }

    /// The headers that the HTTP transport would send.
    pub(crate) fn headers_of(&self, request: &WireRequest) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put("authorization", &format!("Bearer {}", request.secret.expose()));
        put(wire::DEADLINE, &request.deadline_ms.to_string());
        put(wire::TRACEPARENT, &request.traceparent);
        put(wire::CLASS, request.class.name());
        if let Some(key) = &request.key {
            put(wire::KEY, key);
        }
        headers
    }

    /// Serves one call. Nothing is read, logged or counted by operation before the secret was checked and the call was
    /// admitted. `body` is read then, and only so long as the caller waits.
    pub async fn handle(
        &self,
        name: &str,
        headers: &HeaderMap,
        body: impl Future<Output = Result<Bytes, String>> + Send,
    ) -> WireResponse {
        let inner = &*self.0;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if !inner.node.secret.is_shown(headers) {
            inner.instruments.unauthorized.add(1, &[]);
            let why = "the cluster's secret is missing or wrong";
            return answer(StatusCode::UNAUTHORIZED, Some("not-executed"), false, why);
        }
        let Some((name, bound)) = inner.routes.get_key_value(name) else {
            return answer(StatusCode::NOT_FOUND, Some("not-executed"), false, "no such operation here");
        };
        let within =
            text(wire::DEADLINE).and_then(|ms| ms.parse().ok()).map_or(DEADLINE_DEFAULT, Duration::from_millis);
        let class = text(wire::CLASS).and_then(|class| class.parse().ok()).unwrap_or_default();
        let trace = text(wire::TRACEPARENT).and_then(TraceContext::parse);
        let trace = trace.unwrap_or_else(|| TraceContext::start(&inner.node.seams));
        let scope = Scope::new(within.min(DEADLINE_MAX), trace).of(class);
        if within.is_zero() {
            // SEM-5: refused before any effect, so the caller knows that nothing happened.
            let late = answer(StatusCode::SERVICE_UNAVAILABLE, Some("not-executed"), false, "the deadline has passed");
            inner.record(name, bound, Instant::now(), "late");
            return late;
        }
        if inner.held.contains(name) && inner.node.readiness.is_starting() {
            // Another node may know: the caller goes on to it.
            inner.record(name, bound, Instant::now(), "starting");
            return answer(StatusCode::SERVICE_UNAVAILABLE, Some("not-executed"), true, "this node is starting");
        }
        if !bound.regulated {
            return inner.execute(name, bound, scope, text(wire::KEY), body).await;
        }
        let needs = match inner.node.limits.now().protection {
            true => bound.usual.as_ref().map_or(Duration::ZERO, Usual::get),
            false => Duration::ZERO,
        };
        match inner.node.admission.enter(class, scope.deadline, needs).await {
            Ok(permit) => {
                let mut response = inner.execute(name, bound, scope, text(wire::KEY), body).await;
                // How full checkouts' own lane is says nothing about the places that browsing waits for.
                if class != Class::Critical {
                    response.queued_ms = u64::try_from(permit.queued().as_millis()).unwrap_or(u64::MAX);
                }
                permit.finish();
                response
            }
            Err(Refused::Late) if !needs.is_zero() => {
                bound.usual.iter().for_each(Usual::doubt);
                overloaded()
            }
            Err(_) => overloaded(),
        }
    }
}

impl Inner {
    async fn execute(
        &self,
        name: &'static str,
        bound: &Bound,
        scope: Scope,
        key: Option<&str>,
        body: impl Future<Output = Result<Bytes, String>> + Send,
    ) -> WireResponse {
        let started = Instant::now();
        let body = match tokio::time::timeout_at(scope.deadline, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(reason)) => {
                self.record(name, bound, started, "bad_request");
                return answer(StatusCode::BAD_REQUEST, Some("not-executed"), false, reason);
            }
            Err(_elapsed) => {
                self.record(name, bound, started, "late");
                let why = "the body did not arrive before the deadline";
                return answer(StatusCode::SERVICE_UNAVAILABLE, Some("not-executed"), false, why);
            }
        };
        let call = Call { key: key.map(str::to_owned), body };
        let span = tracing::info_span!("op", operation = name, trace_id = %format_args!("{:032x}", scope.trace.trace_id), node = self.node.id);
        let work = async {
            // After admission, as the real work that it stands for.
            match self.node.demand.spend(name, &self.node.tasks).await {
                Ok(()) => noting_shed(scope.run((bound.call)(call))).await,
                Err(FailsOnPurpose) => ((fails_on_purpose(), "failing"), false),
            }
        };
        let ((response, outcome), is_shed) = work.instrument(span).await;
        let overloaded_below = is_shed && !matches!(outcome, "ok" | "refused");
        let response = WireResponse { overloaded_below, ..response };
        if let (Some(usual), "ok") = (&bound.usual, outcome) {
            usual.note(started.elapsed());
        }
        let seconds = self.record(name, bound, started, outcome);
        tracing::debug!(target: "access", operation = name, outcome, seconds, node = self.node.id, trace_id = %format_args!("{:032x}", scope.trace.trace_id), "served");
        response
    }

    fn record(&self, name: &'static str, bound: &Bound, started: Instant, outcome: &'static str) -> f64 {
        let seconds = started.elapsed().as_secs_f64();
        let labels = [
            KeyValue::new("operation", name),
            KeyValue::new("strategy", bound.strategy),
            KeyValue::new("outcome", outcome),
        ];
        self.instruments.duration.record(seconds, &labels);
        seconds
    }
}

async fn serve_http(State(server): State<OpServer>, Path(name): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = async move { to_bytes(body, wire::BODY_BYTES_MAX).await.map_err(|error| error.to_string()) };
    let response = server.handle(&name, &parts.headers, body).await;
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut http = (status, Body::from(response.body)).into_response();
    let headers = http.headers_mut();
    if let Some(outcome) = response.outcome.and_then(|outcome| HeaderValue::from_str(&outcome).ok()) {
        headers.insert(wire::OUTCOME, outcome);
    }
    if !response.retry {
        headers.insert(wire::RETRY, HeaderValue::from_static("no"));
    }
    if response.queued_ms > 0 {
        headers.insert(wire::QUEUED, response.queued_ms.into());
    }
    if response.overloaded || response.overloaded_below {
        let who = if response.overloaded { "1" } else { wire::BELOW };
        headers.insert(wire::OVERLOAD, HeaderValue::from_static(who));
    }
    http
}
