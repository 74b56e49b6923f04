//! A node over real connections while it ends. What is waited for is an event each time; only the delay itself is a time.

use std::sync::Arc;

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

use super::*;
use crate::{Connections, ListenerLimits, Seams, Secret, bind, serve};

const LONG: Duration = Duration::from_secs(600);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: node\r\n\r\n";
const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nhost: node\r\n\r\n";

/// A node with two routes: `/` answers, `/slow` answers when it is let go.
struct Running {
    node: Node,
    address: std::net::SocketAddr,
    /// A request has arrived at `/slow`.
    arrived: Arc<Notify>,
    let_go: Arc<Notify>,
}

async fn running() -> Running {
    let secret = Secret::new("0123456789abcdef").unwrap();
    let node = Node::assemble("logic", "1", Seams::system(), secret).unwrap();
    node.readiness.set_ready();
    let (arrived, let_go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, released) = (arrived.clone(), let_go.clone());
    let slow = get(async move || {
        seen.notify_one();
        released.notified().await;
        "done"
    });
    let routes = Router::new().route("/", get(async || "here")).route("/slow", slow);
    let listener = bind("--listen", "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    drop(node.tasks.spawn(serve(listener, routes, ListenerLimits::INNER, node.tasks.clone(), Connections::default())));
    Running { node, address, arrived, let_go }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A request that is under work until it is let go.
    async fn in_flight(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(SLOW).await.unwrap();
        self.arrived.notified().await;
        stream
    }
}

/// Sends a request and reads the answer, to the end of its body of four bytes.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"here") && !read.ends_with(b"done") {
        let mut part = [0; 1_024];
        let count = stream.read(&mut part).await.unwrap();
        assert!(count > 0, "ended early: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&part[..count]);
    }
    String::from_utf8(read).unwrap().to_lowercase()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 1]).await.is_ok_and(|count| count == 0)
}

#[tokio::test]
async fn a_draining_node_serves_on_asks_to_connect_anew_and_closes_only_after_the_delay() {
    let shop = running().await;
    let (mut kept, mut idle) = (shop.connect().await, shop.connect().await);
    for stream in [&mut kept, &mut idle] {
        assert!(!ask(stream, REQUEST).await.contains("connection: close"));
    }
    let over = Notify::new();
    let ending = end(&shop.node, LONG, LONG, over.notified());
    let meanwhile = async {
        while !shop.node.readiness.is_draining() {
            tokio::task::yield_now().await;
        }
        assert_eq!(shop.node.readiness.answer().0, 503, "callers can hear of it");
        assert!(ask(&mut kept, REQUEST).await.contains("connection: close"), "kept connections empty");
        assert!(is_closed(&mut kept).await);
        assert!(ask(&mut shop.connect().await, REQUEST).await.contains("200 ok"), "new ones are still taken");
        over.notify_one();
    };
    let (ended, ()) = tokio::join!(ending, meanwhile);
    assert!(ended.is_ok(), "{ended:?}");
    assert!(is_closed(&mut idle).await);
    assert!(TcpStream::connect(shop.address).await.is_err());
}

#[tokio::test]
async fn the_delay_is_kept_and_work_in_flight_is_waited_for() {
    let shop = running().await;
    let (delay, began) = (Duration::from_millis(300), tokio::time::Instant::now());
    let slow = async {
        let mut stream = shop.connect().await;
        ask(&mut stream, SLOW).await
    };
    let let_go = async {
        shop.arrived.notified().await;
        shop.node.tasks.stopping().await;
        assert!(began.elapsed() >= delay, "the listener closes no sooner: {:?}", began.elapsed());
        shop.let_go.notify_one();
    };
    let (ended, answer, ()) = tokio::join!(end(&shop.node, delay, LONG, std::future::pending()), slow, let_go);
    assert!(ended.is_ok() && answer.contains("200 ok"), "{ended:?} {answer}");
}

#[tokio::test]
async fn what_is_cut_off_is_counted_and_the_exit_code_says_so() {
    let shop = running().await;
    let _stream = shop.in_flight().await;
    assert!(shop.node.metrics.page().contains("trestle_drain_unfinished"), "{}", shop.node.metrics.page());
    let ended = end(&shop.node, Duration::ZERO, Duration::from_millis(50), std::future::pending()).await;
    assert_eq!(ended.as_ref().unwrap_err().downcast_ref::<CutOff>().map(|cut_off| cut_off.tasks), Some(1));
    let shown = shop.node.metrics.page();
    let gauge = shown.lines().find(|line| line.starts_with("trestle_drain_unfinished")).unwrap();
    assert!(gauge.ends_with(" 1"), "{gauge}");
    let code = |result: &anyhow::Result<()>| format!("{:?}", exit_code(result));
    assert_eq!(code(&ended), format!("{:?}", ExitCode::from(EXIT_CUT_OFF)));
    assert_eq!(code(&Ok(())), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(code(&Err(anyhow::anyhow!("else"))), format!("{:?}", ExitCode::FAILURE));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let shop = running().await;
    let _stream = shop.in_flight().await;
    let ended =
        tokio::time::timeout(Duration::from_secs(10), end(&shop.node, LONG, LONG, std::future::ready(()))).await;
    assert!(ended.unwrap().unwrap_err().is::<CutOff>());
}

#[tokio::test]
async fn nothing_new_is_begun_while_draining_and_what_has_begun_goes_on() {
    let tasks = Tasks::new();
    assert!(tasks.pause(Duration::ZERO).await);
    let (ours, finish) = (tasks.clone(), Arc::new(Notify::new()));
    let may = finish.clone();
    let round = tasks.spawn(async move {
        may.notified().await;
        ours.pause(LONG).await
    });
    tasks.drain();
    finish.notify_one();
    assert!(!round.await.unwrap(), "no further round, though the one before was finished");
    assert_eq!(tasks.unfinished(), 0, "nothing has been told to end yet");
}
