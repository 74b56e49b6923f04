//! A frontend that is offered more than it lets in.

use std::{convert::Infallible, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::{future::join_all, stream};
use serde_json::json;

use crate::fake::{Call, Edge, LIVE};

fn silence() -> Body {
    Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())
}

fn limit(edge: &Edge, settings: &str) {
    edge.node.limits.set(settings.parse().unwrap()).unwrap();
}

/// A request that stays under work until it is dropped, in the class of its path.
fn stuck(path: &str) -> Call {
    Call::new("POST", path)
        .bearer(LIVE)
        .header("idempotency-key", "0123456789abcdef-key")
        .header("content-type", "application/json")
        .body(silence())
}

#[tokio::test(start_paused = true)]
async fn a_full_node_refuses_with_everything_a_client_needs_and_still_sells() {
    let edge = Edge::new();
    edge.node.readiness.set_ready();
    limit(&edge, r#"{"admission":{"adaptive":false,"work_max":1,"checkout_max":1,"queue_percent":0}}"#);
    let mut inside = Box::pin(edge.send(stuck("/api/cart/lines")));
    assert!(futures_util::poll!(&mut inside).is_pending());
    let reply = edge.send(Call::new("GET", "/")).await;
    assert_eq!(reply.problem(), (503, "busy".to_owned()));
    assert_eq!((reply.header("retry-after"), reply.header("x-overload")), (Some("1"), Some("retry")));
    assert_eq!(reply.json()["safe_new_key"], false);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("content-security-policy").is_some() && reply.header("connection").is_none());
    assert!(!edge.asked_anything());
    assert_eq!(edge.send(Call::new("GET", "/health/ready")).await.status, 200);
    let mut checkout = Box::pin(edge.send(stuck("/api/checkout")));
    assert!(futures_util::poll!(&mut checkout).is_pending(), "a checkout has places of its own");
    assert_eq!(edge.send(stuck("/api/checkout")).await.problem(), (503, "busy".to_owned()));
    drop((inside, checkout));
    assert_eq!(edge.send(Call::new("GET", "/api/products")).await.status, 200, "who hangs up gives its place back");
    let page = edge.node.metrics.page();
    for line in [
        r#"trestle_admission_decisions_total{class="sheddable",outcome="full"} 1"#,
        r#"trestle_badput_total{class="critical",reason="gone"} 1"#,
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert!(!page.contains(r#"status="5xx""#), "a refusal costs no histogram: {page}");
}

#[tokio::test]
async fn a_session_that_asks_too_much_is_429_and_no_other() {
    let edge = Edge::new();
    limit(&edge, r#"{"admission":{"session_per_s":1,"session_burst":2}}"#);
    let cart = || Call::new("GET", "/api/cart");
    for expected in [200, 200] {
        assert_eq!(edge.send(cart().cookie(LIVE)).await.status, expected);
    }
    let reply = edge.send(cart().cookie(LIVE)).await;
    assert_eq!((reply.problem(), reply.header("retry-after")), ((429, "too-fast".to_owned()), Some("1")));
    let other = LIVE.replace('1', "2");
    assert_eq!(edge.send(cart().bearer(&other)).await.status, 200);
    limit(&edge, r#"{"protection":false,"admission":{"session_per_s":1,"session_burst":2}}"#);
    assert_eq!(edge.send(cart().cookie(LIVE)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_hold_a_part_of_the_places_only() {
    let edge = Edge::new();
    limit(&edge, r#"{"admission":{"adaptive":false,"work_max":40}}"#);
    let slow = join_all((0..30).map(|_| edge.send(stuck("/api/cart/lines"))));
    let good = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let add = Call::new("POST", "/api/cart/lines").bearer(LIVE).json(&json!({"sku": "emma", "quantity": 1}));
        edge.send(add).await.status
    };
    let (slow, good) = tokio::join!(slow, good);
    let with = |problem: &str| slow.iter().filter(|reply| reply.problem().1 == problem).count();
    assert_eq!((good.as_u16(), with("busy"), with("body-timeout")), (200, 20, 10));
    assert!(edge.node.metrics.page().contains("trestle_slow_bodies_refused_total 20"));
}
