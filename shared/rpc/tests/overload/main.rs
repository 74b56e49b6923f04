//! A node that is offered more than it can do, seen from its callers: what is refused was not executed, says so, and says
//! how long the others had to wait.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{sync::Arc, time::Duration};

use contract::{AtLeastOnce, AtMostOnce, Attempt, Family, Operation, Outcome, Repeatable};
use overload::Class;
use rpc::{InProcess, OpServer, Ops, Transport as _, WireRequest, WireResponse};
use runtime::{Node, Seams, Secret};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

macro_rules! operation {
    ($name:ident, $wire:literal, $retry:ty) => {
        #[derive(Clone, Debug, Serialize, Deserialize)]
        struct $name;
        impl Operation for $name {
            const NAME: &'static str = $wire;
            const FAMILY: Family = Family::Logic;
            const WHY: &'static str = "test";
            const ATTEMPT_MS: u64 = 400;
            type Reply = ();
            type Refusal = String;
            type Retry = $retry;

            fn example() -> Self {
                Self
            }
        }
    };
}

operation!(Look, "test.look", AtLeastOnce);
operation!(Tell, "test.tell", AtMostOnce);
operation!(Peer, "test.peer", AtLeastOnce);

#[derive(Clone)]
struct App {
    /// A call ends when it gets one of these.
    ends: Arc<Semaphore>,
    takes: Duration,
}

impl App {
    async fn work(self) {
        tokio::time::sleep(self.takes).await;
        self.ends.acquire().await.unwrap().forget();
    }
}

struct Callee {
    node: Node,
    transport: InProcess,
    secret: Secret,
    ends: Arc<Semaphore>,
}

impl Callee {
    fn new(settings: &str, takes: Duration) -> Self {
        let secret = Secret::new("0123456789abcdef").unwrap();
        let node = Node::assemble("logic", "logic-1", Seams::system(), secret.clone()).unwrap();
        node.limits.set(settings.parse().unwrap()).unwrap();
        let ends = Arc::new(Semaphore::new(0));
        let app = App { ends: ends.clone(), takes };
        let server: OpServer = Ops::new(app)
            .serve(async |app: App, _: Look, _: Repeatable| -> Outcome<Look> {
                app.work().await;
                Ok(())
            })
            .serve(async |app: App, _: Tell, _: Attempt| -> Outcome<Tell> {
                app.work().await;
                Ok(())
            })
            .hold_until_ready()
            .serve(async |_: App, _: Peer, _: Repeatable| -> Outcome<Peer> { Ok(()) })
            .build(&node);
        node.readiness.set_ready();
        let transport = InProcess::default();
        transport.add("a:1", server);
        Self { node, transport, secret, ends }
    }

    async fn call(&self, operation: &'static str, class: Class, deadline_ms: u64) -> WireResponse {
        let request = WireRequest {
            operation,
            secret: self.secret.clone(),
            deadline_ms,
            traceparent: String::new(),
            class,
            key: None,
            attempt: 1,
            body: "null".into(),
        };
        self.transport.send("a:1", request).await.unwrap()
    }
}

const ONE: &str = r#"{"admission":{"adaptive":false,"work_max":1,"checkout_max":1,"queue_percent":100}}"#;

#[tokio::test(start_paused = true)]
async fn a_full_node_refuses_and_says_so_and_peers_always_get_in() {
    let callee = Callee::new(ONE, Duration::ZERO);
    let mut first = Box::pin(callee.call("test.look", Class::Normal, 3_000));
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut second = Box::pin(callee.call("test.look", Class::Normal, 3_000));
    assert!(futures_util::poll!(&mut second).is_pending());
    let refused = callee.call("test.look", Class::Normal, 3_000).await;
    assert_eq!((refused.status, refused.outcome.as_deref()), (503, Some("not-executed")));
    assert!(refused.overloaded && refused.retry && refused.queued_ms == 0);
    assert_eq!(callee.call("test.peer", Class::Normal, 3_000).await.status, 200, "part of work admitted elsewhere");
    tokio::time::sleep(Duration::from_millis(40)).await;
    callee.ends.add_permits(1);
    let (first, ()) = tokio::join!(first, async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        callee.ends.add_permits(1);
    });
    let second = second.await;
    assert_eq!((first.status, first.queued_ms, first.overloaded), (200, 0, false));
    assert_eq!(second.status, 200);
    assert!((40..45).contains(&second.queued_ms), "{second:?}");
    // A checkout has a lane of its own, and its wait there says nothing about work.
    let mut first = Box::pin(callee.call("test.look", Class::Critical, 3_000));
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = callee.call("test.look", Class::Critical, 3_000);
    let ends = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        callee.ends.add_permits(2);
    };
    let (first, second, ()) = tokio::join!(first, second, ends);
    assert_eq!((first.status, second.status, second.queued_ms), (200, 200, 0));
    let page = callee.node.metrics.page();
    for line in [
        r#"trestle_admission_decisions_total{class="normal",outcome="full"} 1"#,
        r#"trestle_goodput_total{class="normal"} 2"#,
        r#"trestle_offered_total{class="critical"} 2"#,
        r#"trestle_limiter_limit{lane="work"} 1"#,
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert!(!page.contains(r#"operation="test.look",outcome="not"#), "a refusal costs no histogram: {page}");
}

#[tokio::test(start_paused = true)]
async fn what_usually_takes_longer_than_is_left_is_not_begun() {
    let callee = Callee::new("{}", Duration::from_millis(100));
    callee.ends.add_permits(1_000);
    for _ in 0..100 {
        assert_eq!(callee.call("test.look", Class::Normal, 3_000).await.status, 200);
    }
    let late = callee.call("test.look", Class::Normal, 50).await;
    assert!(late.overloaded && late.status == 503, "{late:?}");
    assert_eq!(
        callee.call("test.tell", Class::Normal, 50).await.status,
        200,
        "a message is of use to others later too"
    );
    // Refusing brings no samples, so it gives way by itself.
    let mut again = 0;
    while callee.call("test.look", Class::Normal, 50).await.overloaded {
        again += 1;
        assert!(again < 30, "refused for ever");
    }
    callee.node.limits.set(r#"{"protection":false}"#.parse().unwrap()).unwrap();
    for _ in 0..100 {
        assert_eq!(callee.call("test.look", Class::Normal, 50).await.status, 200);
    }
}
