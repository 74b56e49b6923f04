//! What surrounds every request: cross-site refusal, headers, traces, panics, a shop that is away, slow and large bodies.

use std::{convert::Infallible, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use runtime::{Connections, ListenerLimits};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};

use crate::fake::{Call, Edge, LIVE};

fn add() -> Call {
    Call::new("POST", "/api/cart/lines").header("host", "shop:8080").json(&json!({"sku": "emma", "quantity": 1}))
}

#[tokio::test]
async fn another_site_cannot_use_the_cookie() {
    let edge = Edge::new();
    let from_elsewhere: [(&str, &str); 5] = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "http://shop:8081"),
        ("origin", "null"),
    ];
    for (name, value) in from_elsewhere {
        let reply = edge.send(add().cookie(LIVE).header(name, value)).await;
        assert_eq!(reply.problem(), (403, "cross-site".to_owned()), "{name}: {value}");
        // A new session would replace the customer's.
        let reply = edge.send(Call::new("POST", "/api/session").header("host", "shop:8080").header(name, value)).await;
        assert_eq!(reply.problem(), (403, "cross-site".to_owned()), "{name}: {value}");
    }
    assert!(!edge.asked_anything(), "refused before anything was asked");
    for (name, value) in from_elsewhere {
        assert_eq!(
            edge.send(add().bearer(LIVE).header(name, value)).await.status,
            200,
            "a bearer is nobody's accident"
        );
        assert_eq!(edge.send(Call::new("GET", "/api/cart").cookie(LIVE).header(name, value)).await.status, 200);
    }
    for (name, value) in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", "http://shop:8080")]
    {
        assert_eq!(edge.send(add().cookie(LIVE).header(name, value)).await.status, 200, "{name}: {value}");
    }
    assert_eq!(edge.send(add().cookie(LIVE)).await.status, 200, "programs send neither header");
}

#[tokio::test]
async fn every_answer_is_guarded_and_traced() {
    let edge = Edge::new();
    for path in ["/", "/api/products", "/api/nothing", "/docs/problems", "/health/ready"] {
        let reply = edge.send(Call::new("GET", path)).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("x-trace-id").map(str::len), Some(32), "{path}");
    }
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let call = Call::new("GET", "/api/products").header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    assert_eq!(edge.send(call).await.header("x-trace-id"), Some(trace));
    let metrics = edge.node.metrics.page();
    let line = r#"trestle_request_duration_seconds_count{method="GET",route="/api/products",status="2xx"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains(r#"route="none",status="4xx""#), "a path that is no route makes no label: {metrics}");
}

#[tokio::test]
async fn readiness_follows_the_node() {
    let edge = Edge::new();
    let ready = async || edge.send(Call::new("GET", "/health/ready")).await.status.as_u16();
    assert_eq!(ready().await, 503);
    edge.node.readiness.set_ready();
    assert_eq!(ready().await, 200);
    assert_eq!(edge.send(Call::new("GET", "/metrics")).await.status, 404, "metrics are not for the public");
}

#[tokio::test]
async fn a_shop_that_is_away_is_503_and_the_same_request_may_come_again() {
    let edge = Edge::new();
    edge.cut_off();
    for call in [add().bearer(LIVE), Call::new("GET", "/api/products"), Call::new("POST", "/api/session")] {
        let reply = edge.send(call).await;
        assert_eq!(reply.problem(), (503, "busy".to_owned()));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let edge = Edge::new();
    let silence = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let call =
        Call::new("POST", "/api/cart/lines").bearer(LIVE).header("content-type", "application/json").body(silence);
    let waited = tokio::time::timeout(Duration::from_secs(4), edge.send(call)).await;
    assert_eq!(waited.expect("within the deadline of 3 s").problem(), (408, "body-timeout".to_owned()));
}

/// Over a socket, where closing with unread bytes would reset the connection before the answer is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_answered_and_not_reset() {
    let edge = Edge::new();
    let listener = runtime::bind("--listen", "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = edge.node.tasks.clone();
    drop(tasks.spawn(runtime::serve(
        listener,
        edge.router.clone(),
        ListenerLimits::PUBLIC,
        tasks.clone(),
        Connections::default(),
    )));
    // A plain client writes all before it reads anything; a small buffer keeps the kernel from taking all of it at once.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!(
        "POST /api/cart/lines HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {LIVE}\r\n\
         content-type: application/json\r\ncontent-length: 1000000\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b' '; 1_000_000]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    tasks.stop();
}

#[tokio::test]
async fn a_panic_is_an_answer_with_all_headers() {
    let edge = Edge::new();
    // The canned logic node lives in this process, so its panic is one of the handler's.
    let call = Call::new("POST", "/api/cart/lines").bearer(LIVE).json(&json!({"sku": "panics", "quantity": 1}));
    let reply = edge.send(call).await;
    assert_eq!(reply.problem(), (500, "internal-error".to_owned()));
    assert!(reply.headers.contains_key("x-trace-id") && reply.headers.contains_key("content-security-policy"));
    assert!(!String::from_utf8_lossy(&reply.body).contains("as asked"), "the message stays inside");
    assert!(edge.node.metrics.page().contains(r#"route="/api/cart/lines",status="5xx""#));
}
