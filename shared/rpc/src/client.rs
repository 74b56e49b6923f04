//! The one client: the only resend loop in the repository.
//!
//! Each attempt ends as one of four: a reply, a refusal, *not executed* (provably nothing happened) or *unknown*. A
//! refusal is final. "Not executed" may be sent again under any strategy. "Unknown" may be sent again only if the
//! operation's strategy says so, and stays unknown for the caller unless a later attempt brings a definite answer. A
//! resend goes to another node, costs budget, never outlives the deadline, and is not made when the callee says that
//! the failure lies deeper, where it was retried already.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use contract::{CallError, Operation, Outcome, Strategy, WireKey as _};
use opentelemetry::{KeyValue, metrics::Histogram};
use overload::Class;
use runtime::{Metrics, Node};
use tokio::time::Instant;

use crate::{
    Discovery, Endpoint, RetryBudget, Transport, TransportError,
    endpoints::Endpoints,
    scope::{Scope, TraceContext},
    wire::{WireRequest, WireResponse},
};

/// What the caller keeps for itself of the remaining time at each hop.
const HOP_MARGIN: Duration = Duration::from_millis(5);
/// First pause between attempts; doubles, with full jitter.
const BACKOFF_FIRST_MS: u64 = 20;

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// Most attempts of one call.
    pub attempts_max: u32,
    /// Deadline of calls that come from no request (background work).
    pub deadline_default: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { attempts_max: 3, deadline_default: Duration::from_secs(5) }
    }
}

/// Calls the nodes of one family; clones share connections, budget and what is known of the nodes.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: Node,
    transport: Arc<dyn Transport>,
    endpoints: Arc<Endpoints>,
    budget: RetryBudget,
    options: ClientOptions,
    duration: Histogram<f64>,
    attempts: Histogram<u64>,
}

/// How one attempt ended, and whether the loop may go on.
struct Attempted<R, F> {
    result: Result<R, CallError<F>>,
    retry: bool,
}

impl Client {
    /// A client of the family found at `discovery`. Probing starts at once and ends with the node.
    #[must_use]
    pub fn new(node: &Node, transport: Arc<dyn Transport>, discovery: Discovery, options: ClientOptions) -> Self {
        Self::start(node, transport, Endpoints::new(discovery, None), options)
    }

    /// A client of a node's own family, without the node itself: for replication.
    #[must_use]
    pub fn of_peers(node: &Node, transport: Arc<dyn Transport>, discovery: Discovery, own_address: &str) -> Self {
        let endpoints = Endpoints::new(discovery, Some(own_address.to_owned()));
        Self::start(node, transport, endpoints, ClientOptions::default())
    }

    fn start(node: &Node, transport: Arc<dyn Transport>, endpoints: Endpoints, options: ClientOptions) -> Self {
        let endpoints = Arc::new(endpoints);
        node.tasks.spawn_until_stop(endpoints.clone().watch(transport.clone()));
        let meter = node.metrics.meter();
        let duration = meter
            .f64_histogram("trestle_call_duration")
            .with_unit("s")
            .with_description("time of a call with its resends, by operation, strategy and outcome")
            .with_boundaries(Metrics::duration_buckets())
            .build();
        let attempts = meter
            .u64_histogram("trestle_call_attempts")
            .with_description("attempts of a call")
            .with_boundaries(vec![1.0, 2.0, 3.0, 5.0])
            .build();
        let budget = RetryBudget::default();
        Self(Arc::new(Inner { node: node.clone(), transport, endpoints, budget, options, duration, attempts }))
    }

    /// Calls an operation on some node of the family and resends as its strategy allows.
    ///
    /// # Errors
    /// The three arms of [`CallError`].
    pub async fn call<O: Operation>(&self, request: &O, key: <O::Retry as Strategy>::Key) -> Outcome<O> {
        let inner = &*self.0;
        let scope = Scope::current()
            .unwrap_or_else(|| Scope::new(inner.options.deadline_default, TraceContext::start(&inner.node.seams)));
        let body = match serde_json::to_vec(request) {
            Ok(body) => Bytes::from(body),
            Err(error) => return Err(CallError::NotExecuted(format!("cannot be encoded: {error}"))),
        };
        let started = Instant::now();
        inner.budget.deposit();
        let (mut tried, mut attempt, mut unknown) = (Vec::new(), 0, None);
        let outcome = loop {
            attempt += 1;
            let Some(endpoint) = inner.endpoints.choose(&tried, &inner.node.seams) else {
                break Err(CallError::NotExecuted(format!("no {} node is known", O::FAMILY)));
            };
            let attempted = inner.attempt::<O>(&endpoint, &scope, key.to_wire(), attempt, body.clone()).await;
            tried.push(endpoint);
            let again = match &attempted.result {
                Err(CallError::NotExecuted(_)) => attempted.retry,
                Err(CallError::Unknown(reason)) => {
                    unknown.get_or_insert_with(|| reason.clone());
                    attempted.retry && <O::Retry as Strategy>::RESEND_AFTER_UNKNOWN
                }
                _ => false,
            };
            if !again || attempt >= inner.options.attempts_max || !inner.budget.withdraw() {
                break attempted.result;
            }
            inner.back_off(attempt, &tried).await;
            if scope.remaining() <= HOP_MARGIN {
                break attempted.result;
            }
        };
        let outcome = sticky(outcome, unknown);
        inner.record::<O>(started, attempt, &outcome);
        outcome
    }

    /// Calls an operation on one given node, once: for replication, where each node matters.
    ///
    /// # Errors
    /// The three arms of [`CallError`].
    pub async fn call_node<O: Operation>(
        &self,
        endpoint: &Arc<Endpoint>,
        request: &O,
        key: <O::Retry as Strategy>::Key,
        within: Duration,
    ) -> Outcome<O> {
        let trace = Scope::current().map_or_else(|| TraceContext::start(&self.0.node.seams), |scope| scope.trace);
        let body = serde_json::to_vec(request).map_err(|error| CallError::NotExecuted(error.to_string()))?;
        let class = Scope::current().map_or_else(Class::default, |scope| scope.class);
        let scope = Scope::new(within + HOP_MARGIN, trace).of(class);
        self.0.attempt::<O>(endpoint, &scope, key.to_wire(), 1, body.into()).await.result
    }

    /// All nodes of the family, ready or not (without the caller itself, for a client of peers).
    #[must_use]
    pub fn nodes(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.0.endpoints.all()
    }

    /// Whether any node of the family was willing when it was last asked; for saying early and clearly that none can be
    /// reached. A call may still go either way.
    #[must_use]
    pub fn any_ready(&self) -> bool {
        self.0.endpoints.all().iter().any(|endpoint| endpoint.is_ready())
    }

    /// Reads the members now instead of at the next round: for a node that must know its peers before it is ready.
    pub async fn discover(&self) {
        self.0.endpoints.discover().await;
    }
}

impl Inner {
    async fn attempt<O: Operation>(
        &self,
        endpoint: &Arc<Endpoint>,
        scope: &Scope,
        key: Option<&str>,
        attempt: u32,
        body: Bytes,
    ) -> Attempted<O::Reply, O::Refusal> {
        let patience = Duration::from_millis(O::ATTEMPT_MS).min(scope.remaining().saturating_sub(HOP_MARGIN));
        if patience.is_zero() {
            return Attempted {
                result: Err(CallError::NotExecuted("the deadline has passed".to_owned())),
                retry: false,
            };
        }
        let request = WireRequest {
            operation: O::NAME,
            secret: self.node.secret.clone(),
            deadline_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            traceparent: scope.trace.header(),
            class: scope.class,
            key: key.map(str::to_owned),
            attempt,
            body,
        };
        let in_flight = endpoint.begin();
        let sent = tokio::time::timeout(patience, self.transport.send(&endpoint.address, request)).await;
        drop(in_flight);
        match sent {
            Ok(Ok(response)) => interpret::<O>(response, &endpoint.address),
            Ok(Err(TransportError::NotSent(reason))) => {
                endpoint.suspect();
                Attempted {
                    result: Err(CallError::NotExecuted(format!("{}: {reason}", endpoint.address))),
                    retry: true,
                }
            }
            Ok(Err(TransportError::Lost(reason))) => {
                endpoint.suspect();
                Attempted { result: Err(CallError::Unknown(format!("{}: {reason}", endpoint.address))), retry: true }
            }
            Err(_elapsed) => {
                endpoint.suspect();
                let reason = format!("{}: no answer within {} ms", endpoint.address, patience.as_millis());
                Attempted { result: Err(CallError::Unknown(reason)), retry: true }
            }
        }
    }

    /// Full jitter (AWS, "Exponential Backoff and Jitter"); none while there is a ready node that was not asked yet.
    async fn back_off(&self, attempt: u32, tried: &[Arc<Endpoint>]) {
        let fresh =
            |endpoint: &Arc<Endpoint>| endpoint.is_ready() && !tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        if self.endpoints.all().iter().any(fresh) {
            return;
        }
        let most_ms = BACKOFF_FIRST_MS << attempt.min(5);
        tokio::time::sleep(Duration::from_millis(self.node.seams.below(most_ms))).await;
    }

    fn record<O: Operation>(&self, started: Instant, attempts: u32, outcome: &Outcome<O>) {
        let outcome = outcome.as_ref().err().map_or("ok", CallError::label);
        let labels = [
            KeyValue::new("operation", O::NAME),
            KeyValue::new("strategy", <O::Retry as Strategy>::LABEL),
            KeyValue::new("outcome", outcome),
        ];
        self.duration.record(started.elapsed().as_secs_f64(), &labels);
        self.attempts.record(u64::from(attempts), &labels[..1]);
    }
}

/// Once unknown, a later "not executed" does not make it known.
fn sticky<R, F>(outcome: Result<R, CallError<F>>, unknown: Option<String>) -> Result<R, CallError<F>> {
    match (outcome, unknown) {
        (Err(CallError::NotExecuted(later)), Some(first)) => Err(CallError::Unknown(format!("{first}; then {later}"))),
        (outcome, _) => outcome,
    }
}

fn interpret<O: Operation>(response: WireResponse, address: &str) -> Attempted<O::Reply, O::Refusal> {
    let text = || format!("{address}: {}", String::from_utf8_lossy(&response.body[..response.body.len().min(300)]));
    let result = match (response.status, response.outcome.as_deref()) {
        (200, _) => serde_json::from_slice(&response.body)
            .map_err(|error| CallError::Unknown(format!("{address}: the reply cannot be read: {error}"))),
        (_, Some("refused")) => match serde_json::from_slice(&response.body) {
            Ok(refusal) => Err(CallError::Refused(refusal)),
            Err(error) => Err(CallError::Unknown(format!("{address}: the refusal cannot be read: {error}"))),
        },
        (_, Some("not-executed")) => Err(CallError::NotExecuted(text())),
        _ => Err(CallError::Unknown(text())),
    };
    Attempted { result, retry: response.retry }
}
