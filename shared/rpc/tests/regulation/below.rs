//! A node whose own callees shed is not a failing node; one whose own callees fail is.

use std::sync::Arc;

use contract::{AtLeastOnce, CallError, Family, NoKey, Operation, Outcome, Repeatable};
use rpc::{Client, ClientOptions, InProcess, Ops};
use runtime::{Node, Secret};
use serde::{Deserialize, Serialize};

use crate::town::{Look, State, Town, seeded};

/// Asks further in.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pass {}

impl Operation for Pass {
    const NAME: &'static str = "test.pass";
    const FAMILY: Family = Family::Frontend;
    const WHY: &'static str = "test";
    type Reply = u32;
    type Refusal = String;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {}
    }
}

async fn pass(inner: Client, _: Pass, _: Repeatable) -> Outcome<Pass> {
    inner.call(&Look {}, NoKey).await
}

#[tokio::test(start_paused = true)]
async fn a_node_is_not_left_alone_because_those_behind_it_shed() {
    for (state, opens) in [(State::Shedding, false), (State::Failing, true)] {
        let town = Town::new(1);
        let (inner, middle) = town.caller();
        middle.readiness.set_ready();
        town.set_all(state);
        let network = InProcess::default();
        network.add("middle:1", Ops::new(inner).serve(pass).build(&middle));
        let outer = Node::assemble("edge", "1", seeded(3), Secret::new("the-cluster-secret").unwrap()).unwrap();
        let discovery = "static://middle:1".parse().unwrap();
        let client = Client::new(&outer, Arc::new(network), discovery, ClientOptions::default());
        for _ in 0..50 {
            let outcome = client.call(&Pass {}, NoKey).await;
            match state {
                State::Shedding => assert!(matches!(outcome, Err(CallError::NotExecuted(_))), "{outcome:?}"),
                _ => assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}"),
            }
        }
        let page = outer.metrics.page();
        assert_eq!(page.contains("trestle_breaker_transitions_total"), opens, "{state:?}: {page}");
        assert_eq!(outer.pressure.take().refused, 0, "the middle's admission is to see it, not the edge's");
    }
}
