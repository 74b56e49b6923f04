//! What the three retry strategies mean when replies are lost, nodes hang or refuse connections: counted at the callee.
#![expect(clippy::unwrap_used, reason = "a test")]

mod faulty;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use contract::{
    AtLeastOnce, AtMostOnce, Attempt, CallError, ExactlyOnce, Family, NoKey, Once, Operation, Outcome, Repeatable,
    RequestId, Strategy,
};
use faulty::{Fault, Faulty};
use rpc::{Client, ClientOptions, InProcess, Ops, Scope, TraceContext, Transport};
use runtime::{Node, Seams, Secret};
use serde::{Deserialize, Serialize};

/// Declares an operation that counts its arrivals, under one strategy.
macro_rules! count_operation {
    ($name:ident, $wire:literal, $retry:ty) => {
        #[derive(Clone, Debug, Serialize, Deserialize)]
        struct $name {
            refuse: bool,
        }
        impl Operation for $name {
            const NAME: &'static str = $wire;
            const FAMILY: Family = Family::Logic;
            const WHY: &'static str = "test";
            const ATTEMPT_MS: u64 = 400;
            type Reply = u32;
            type Refusal = String;
            type Retry = $retry;

            fn example() -> Self {
                Self { refuse: false }
            }
        }
    };
}

count_operation!(Notify, "test.notify", AtMostOnce);
count_operation!(Look, "test.look", AtLeastOnce);
count_operation!(Pay, "test.pay", ExactlyOnce);

/// Arrivals, over all nodes, and the keys they came with.
#[derive(Clone, Default)]
struct Arrivals {
    count: Arc<AtomicU32>,
    deadline_ms: Arc<AtomicU32>,
}

impl Arrivals {
    fn arrive(&self, refuse: bool) -> Result<u32, CallError<String>> {
        let left = Scope::current().unwrap().remaining();
        self.deadline_ms.store(u32::try_from(left.as_millis()).unwrap(), Ordering::SeqCst);
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if refuse { Err(CallError::Refused("no".to_owned())) } else { Ok(count) }
    }
}

async fn notify(arrivals: Arrivals, request: Notify, _: Attempt) -> Outcome<Notify> {
    arrivals.arrive(request.refuse)
}

async fn look(arrivals: Arrivals, request: Look, _: Repeatable) -> Outcome<Look> {
    arrivals.arrive(request.refuse)
}

async fn pay(arrivals: Arrivals, request: Pay, once: Once) -> Outcome<Pay> {
    assert_eq!(once.id(), &key());
    arrivals.arrive(request.refuse)
}

fn key() -> RequestId {
    "0123456789abcdef".parse().unwrap()
}

struct Cluster {
    client: Client,
    arrivals: Arrivals,
    transport: Arc<Faulty>,
    server: Node,
}

/// Two nodes behind a transport that can be told how to fail.
fn cluster() -> Cluster {
    let node =
        |id: &str| Node::assemble("logic", id, Seams::system(), Secret::new("the-cluster-secret").unwrap()).unwrap();
    let (server, arrivals, nodes) = (node("server"), Arrivals::default(), InProcess::default());
    server.readiness.set_ready();
    for address in ["a:1", "b:1"] {
        let ops = Ops::new(arrivals.clone()).serve(notify).serve(look).serve(pay);
        nodes.add(address, ops.build(&server));
    }
    let transport = Arc::new(Faulty::new(nodes));
    let shared: Arc<dyn Transport> = transport.clone();
    let client = Client::new(&node("client"), shared, "static://a:1,b:1".parse().unwrap(), ClientOptions::default());
    Cluster { client, arrivals, transport, server }
}

impl Cluster {
    fn arrived(&self) -> u32 {
        self.arrivals.count.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn without_faults_each_call_arrives_once() {
    let cluster = cluster();
    assert_eq!(cluster.client.call(&Notify::example(), NoKey).await, Ok(1));
    assert_eq!(cluster.client.call(&Look::example(), NoKey).await, Ok(2));
    assert_eq!(cluster.client.call(&Pay::example(), key()).await, Ok(3));
}

#[tokio::test]
async fn at_most_once_is_never_resent_after_a_lost_reply() {
    let cluster = cluster();
    cluster.transport.next([Fault::LoseReply]);
    let outcome = cluster.client.call(&Notify::example(), NoKey).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    assert_eq!(cluster.arrived(), 1);
}

#[tokio::test]
async fn the_others_are_resent_to_another_node() {
    let cluster = cluster();
    cluster.transport.next([Fault::LoseReply]);
    assert_eq!(cluster.client.call(&Look::example(), NoKey).await, Ok(2));
    cluster.transport.next([Fault::LoseReply]);
    assert_eq!(cluster.client.call(&Pay::example(), key()).await, Ok(4), "same key, second arrival");
    let asked = cluster.transport.asked();
    assert_ne!(asked[0], asked[1]);
    assert_ne!(asked[2], asked[3]);
}

#[tokio::test]
async fn what_was_never_sent_is_resent_under_any_strategy() {
    let cluster = cluster();
    cluster.transport.next([Fault::Refuse]);
    assert_eq!(cluster.client.call(&Notify::example(), NoKey).await, Ok(1));
}

#[tokio::test]
async fn a_refusal_is_final() {
    let cluster = cluster();
    let outcome = cluster.client.call(&Pay { refuse: true }, key()).await;
    assert_eq!(outcome, Err(CallError::Refused("no".to_owned())));
    assert_eq!(cluster.arrived(), 1);
}

#[tokio::test]
async fn unknown_is_sticky() {
    let cluster = cluster();
    cluster.transport.next([Fault::LoseReply, Fault::Refuse, Fault::Refuse]);
    let outcome = cluster.client.call(&Pay::example(), key()).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    cluster.transport.next([Fault::Refuse, Fault::Refuse, Fault::Refuse]);
    let outcome = cluster.client.call(&Pay::example(), key()).await;
    assert!(matches!(outcome, Err(CallError::NotExecuted(_))), "{outcome:?}");
}

#[tokio::test]
async fn attempts_are_bounded() {
    let cluster = cluster();
    cluster.transport.next([Fault::LoseReply; 10]);
    let outcome = cluster.client.call(&Look::example(), NoKey).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    assert_eq!(cluster.arrived(), ClientOptions::default().attempts_max);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_node_costs_one_attempt_and_is_avoided_then() {
    let cluster = cluster();
    cluster.transport.next([Fault::Hang]);
    let started = tokio::time::Instant::now();
    assert_eq!(cluster.client.call(&Look::example(), NoKey).await, Ok(1));
    assert_eq!(
        started.elapsed().as_millis(),
        u128::from(Look::ATTEMPT_MS),
        "one attempt's patience, to the millisecond"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_shrinks_at_each_hop_and_ends_the_resends() {
    let cluster = cluster();
    let scope = || Scope::new(Duration::from_millis(300), TraceContext::start(&Seams::system()));
    assert_eq!(scope().run(cluster.client.call(&Look::example(), NoKey)).await, Ok(1));
    let left_ms = cluster.arrivals.deadline_ms.load(Ordering::SeqCst);
    assert!((250..300).contains(&left_ms), "{left_ms}");
    cluster.transport.next([Fault::Hang, Fault::Hang, Fault::Hang]);
    let started = tokio::time::Instant::now();
    let outcome = scope().run(cluster.client.call(&Look::example(), NoKey)).await;
    assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
    assert!(started.elapsed() <= Duration::from_millis(300));
    let late = Scope::new(Duration::ZERO, TraceContext::start(&Seams::system()));
    let outcome = late.run(cluster.client.call(&Look::example(), NoKey)).await;
    assert!(matches!(outcome, Err(CallError::NotExecuted(_))), "refused before any effect: {outcome:?}");
    assert_eq!(cluster.arrived(), 1);
}

#[tokio::test]
async fn the_budget_ends_a_storm() {
    let cluster = cluster();
    cluster.transport.next([Fault::LoseReply; 2_000]);
    for _ in 0..300 {
        assert!(cluster.client.call(&Look::example(), NoKey).await.is_err());
    }
    // A reserve of 64 resends, a tenth of the calls, and what trickles in meanwhile; far from two resends a call.
    let arrived = cluster.arrived();
    assert!((300..460).contains(&arrived), "{arrived} arrivals for 300 calls");
}

#[tokio::test]
async fn a_call_without_the_secret_is_counted_and_changes_nothing() {
    let cluster = cluster();
    let stranger =
        Node::assemble("logic", "x", Seams::system(), Secret::new("another-cluster-secret").unwrap()).unwrap();
    let transport: Arc<dyn Transport> = cluster.transport.clone();
    let client = Client::new(&stranger, transport, "static://a:1".parse().unwrap(), ClientOptions::default());
    let outcome = client.call(&Notify::example(), NoKey).await;
    assert!(matches!(outcome, Err(CallError::NotExecuted(_))), "{outcome:?}");
    assert_eq!(cluster.arrived(), 0);
    assert!(
        cluster.server.metrics.page().contains("trestle_unauthorized_total 1"),
        "{}",
        cluster.server.metrics.page()
    );
}

#[tokio::test]
async fn served_calls_are_counted_by_operation_strategy_and_outcome() {
    let cluster = cluster();
    let _ = cluster.client.call(&Pay { refuse: true }, key()).await;
    let page = cluster.server.metrics.page();
    let line = "trestle_operation_duration_seconds_count{operation=\"test.pay\",outcome=\"refused\",strategy=\"exactly-once\"} 1";
    assert!(page.contains(line), "{page}");
}

#[tokio::test]
async fn an_exactly_once_call_without_its_key_is_malformed() {
    let cluster = cluster();
    cluster.transport.next([Fault::DropKey]);
    let outcome = cluster.client.call(&Pay::example(), key()).await;
    assert!(
        matches!(&outcome, Err(CallError::NotExecuted(reason)) if reason.contains("idempotency-key")),
        "{outcome:?}"
    );
    assert_eq!(cluster.arrived(), 0);
}

#[test]
fn labels_are_the_documents_words() {
    assert_eq!(<Notify as Operation>::Retry::LABEL, "at-most-once");
    assert_eq!(<Look as Operation>::Retry::LABEL, "at-least-once");
    assert_eq!(<Pay as Operation>::Retry::LABEL, "exactly-once");
}
