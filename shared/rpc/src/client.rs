//! The one client: the only resend loop in the repository.
//!
//! Each attempt ends as one of four: a reply, a refusal, *not executed* (provably nothing happened) or *unknown*. A
//! refusal is final. "Not executed" may be sent again under any strategy. "Unknown" may be sent again only if the
//! operation's strategy says so, and stays unknown for the caller unless a later attempt brings a definite answer. A
//! resend goes to another node, costs budget, never outlives the deadline, and is not made when the callee says that
//! the failure lies deeper, where it was retried already. What the callee refused for overload is sent again only if it
//! sells something, and once.
//!
//! Before anything is sent, the gate (`overload::Gate`) and the throttle (`overload::Throttle`) may refuse the call here;
//! what each attempt tells about its node goes to `endpoints.rs`, and about load to the node's admission (`node.pressure`).

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use contract::{CallError, Family, Operation, Outcome, Strategy, WireKey as _};
use opentelemetry::KeyValue;
use overload::{Class, Throttle, Usual};
use runtime::Node;
use tokio::time::Instant;

use crate::{
    Discovery, Endpoint, RetryBudget, Transport,
    attempt::{Heard, Means},
    endpoints::{Endpoints, Flight, Verdict},
    instruments::{Instruments, show},
    scope::{Scope, TraceContext, note_shed},
};

/// What the caller keeps for itself of the remaining time at each hop.
pub(crate) const HOP_MARGIN: Duration = Duration::from_millis(5);
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
pub(crate) struct Inner {
    pub(crate) node: Node,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) budget: RetryBudget,
    throttle: Mutex<Throttle>,
    usual: Mutex<Usual>,
    options: ClientOptions,
    instruments: Instruments,
    /// Whom it calls: known from the first call on.
    pub(crate) target: OnceLock<Family>,
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
        let inner = Arc::new(Inner {
            node: node.clone(),
            transport,
            endpoints,
            budget: RetryBudget::default(),
            throttle: Mutex::new(Throttle::new(Instant::now())),
            usual: Mutex::default(),
            options,
            instruments: Instruments::new(&meter),
            target: OnceLock::new(),
        });
        show(&meter, &Arc::downgrade(&inner));
        Self(inner)
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
        inner.target.get_or_init(|| O::FAMILY);
        let (outcome, attempts) = match inner.may_call(O::FAMILY, scope.class) {
            Ok(()) => inner.send::<O>(&scope, key.to_wire(), &body).await,
            Err(reason) => (Err(CallError::NotExecuted(reason)), 0),
        };
        inner.record::<O>(started, attempts, &outcome);
        outcome
    }

    /// Calls an operation on one given node, once: for replication, where each node matters. So it is neither throttled nor
    /// kept from a node that fails, and says nothing about load: it is part of work that was let in already, which is
    /// also why it goes before all other.
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
        let body = serde_json::to_vec(request).map_err(|error| CallError::NotExecuted(error.to_string()))?.into();
        let scope = Scope::new(within + HOP_MARGIN, trace).of(Class::Emergency);
        let _flight = endpoint.begin(Instant::now());
        self.0
            .attempt::<O>(endpoint, &Means { scope: &scope, key: key.to_wire(), attempt: 1, body: &body })
            .await
            .result
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
    pub(crate) fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_protected(&self) -> bool {
        self.node.limits.now().protection
    }

    /// The reason if a call is better not made.
    fn may_call(&self, target: Family, class: Class) -> Result<(), String> {
        let (limits, now) = (self.node.limits.now(), Instant::now());
        if !limits.protection {
            return Ok(());
        }
        if !self.endpoints.gate().pass(&limits.client, now) {
            self.instruments.fail_fast(target);
            return Err(format!("no {target} node has answered for a while"));
        }
        // What frees something or sells is for the callee to refuse.
        let may_throttle = matches!(class, Class::Normal | Class::Sheddable);
        let permille = if may_throttle { self.throttle().permille(&limits.client, now) } else { 0 };
        if permille > 0 && self.node.seams.below(1_000) < permille {
            self.throttle().throttled(now);
            self.instruments.throttled(target, class);
            note_shed();
            return Err(format!("{target} nodes refuse too many calls for overload"));
        }
        Ok(())
    }

    /// The loop: the outcome, and after how many attempts.
    async fn send<O: Operation>(&self, scope: &Scope, key: Option<&str>, body: &Bytes) -> (Outcome<O>, u32) {
        let (mut tried, mut attempt, mut unknown, mut was_shed) = (Vec::new(), 0, None, false);
        loop {
            attempt += 1;
            let Some(flight) = self.endpoints.choose(&tried, &self.node.seams, self.is_protected()) else {
                let nobody = CallError::NotExecuted(format!("no {} node is known", O::FAMILY));
                return (sticky(Err(nobody), unknown), attempt);
            };
            tried.push(flight.endpoint.clone());
            self.throttle().let_through(flight.began);
            self.instruments.attempt(O::FAMILY, attempt);
            let means = Means { scope, key, attempt, body };
            let attempted = self.attempt::<O>(&flight.endpoint, &means).await;
            self.learn::<O>(flight, &attempted.heard, scope.class);
            let again = match &attempted.result {
                Err(CallError::NotExecuted(_)) if attempted.heard == Heard::Overloaded => {
                    let is_first = !std::mem::replace(&mut was_shed, true);
                    attempted.retry && is_first && scope.class == Class::Critical
                }
                Err(CallError::NotExecuted(_)) => attempted.retry,
                Err(CallError::Unknown(reason)) => {
                    unknown.get_or_insert_with(|| reason.clone());
                    attempted.retry && <O::Retry as Strategy>::RESEND_AFTER_UNKNOWN
                }
                _ => false,
            };
            if !again || attempt >= self.options.attempts_max || !self.may_resend(O::FAMILY) {
                return (sticky(attempted.result, unknown), attempt);
            }
            self.back_off(attempt, &tried).await;
            if scope.remaining() <= HOP_MARGIN {
                return (sticky(attempted.result, unknown), attempt);
            }
        }
    }

    fn may_resend(&self, target: Family) -> bool {
        let limits = self.node.limits.now();
        let may = !limits.protection || self.budget.withdraw(&limits.client);
        if !may {
            self.instruments.budget_exhausted(target);
        }
        may
    }

    /// Tells whom it may concern how an attempt ended.
    fn learn<O: Operation>(&self, flight: Flight, heard: &Heard, class: Class) {
        let (limits, now) = (self.node.limits.now(), Instant::now());
        let slowness = |is_good| {
            let mut usual = self.usual.lock().unwrap_or_else(PoisonError::into_inner);
            usual.slowness(O::NAME, now.duration_since(flight.began), is_good, now)
        };
        let verdict = match heard {
            Heard::Answer(_) => Verdict::Good(slowness(true)),
            Heard::Impatience => Verdict::Late(slowness(false)),
            Heard::Failure | Heard::Silence => Verdict::Failed,
            Heard::Overloaded => Verdict::Shed,
            Heard::Elsewhere | Heard::Unsent => Verdict::Nothing,
        };
        match heard {
            Heard::Answer(queued) => {
                self.budget.deposit(&limits.client);
                self.node.pressure.note(*queued);
            }
            Heard::Overloaded => {
                self.node.pressure.refused(class);
                self.instruments.overloaded(O::FAMILY, class);
                note_shed();
            }
            _ => {}
        }
        match heard {
            Heard::Overloaded => self.throttle().refused(now),
            Heard::Answer(_) | Heard::Failure | Heard::Elsewhere => self.throttle().accepted(now),
            Heard::Impatience | Heard::Silence | Heard::Unsent => {}
        }
        if !matches!(heard, Heard::Impatience | Heard::Silence | Heard::Unsent) {
            self.endpoints.gate().alive(now);
        }
        if let Some(change) = flight.settle(&limits.client, verdict, &self.node.seams) {
            let endpoint = &flight.endpoint.address;
            tracing::info!(target: "notify", kind = "breaker", endpoint, change = change.name(), "a breaker has changed");
            self.instruments.transition(O::FAMILY, endpoint, change);
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
        self.instruments.duration.record(started.elapsed().as_secs_f64(), &labels);
        self.instruments.attempts_of_call.record(u64::from(attempts), &labels[..1]);
    }
}

/// Once unknown, a later "not executed" does not make it known.
fn sticky<R, F>(outcome: Result<R, CallError<F>>, unknown: Option<String>) -> Result<R, CallError<F>> {
    match (outcome, unknown) {
        (Err(CallError::NotExecuted(later)), Some(first)) => Err(CallError::Unknown(format!("{first}; then {later}"))),
        (outcome, _) => outcome,
    }
}
