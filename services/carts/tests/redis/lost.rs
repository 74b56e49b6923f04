//! Answers that are lost: the write was done, and nobody said so (E13).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use carts::store::CartStore as _;
use store::StoreError;
use testkit::redis::Redis;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use super::{Client, cart, sku};

/// Stands between client and server, and swallows answers to writes.
struct Proxy {
    address: String,
    /// How many answers are still to be lost.
    lose: Arc<AtomicU32>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lose = Arc::new(AtomicU32::new(0));
        let (mut tasks, losing) = (JoinSet::new(), lose.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(&server).await.unwrap().into_split();
                // What is swallowed once makes the rest of the connection useless, as in a network.
                let deaf = Arc::new(AtomicBool::new(false));
                connections.spawn(ask(from_client, to_server, losing.clone(), deaf.clone()));
                connections.spawn(answer(from_server, to_client, deaf));
            }
        });
        Self { address, lose, _tasks: tasks }
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lose: Arc<AtomicU32>, deaf: Arc<AtomicBool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let is_write = bytes[..count].windows(4).any(|part| part == b"EVAL");
        let fewer = |left: u32| left.checked_sub(1);
        if is_write && lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok() {
            deaf.store(true, Ordering::SeqCst);
        }
        to.write_all(&bytes[..count]).await.unwrap();
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, deaf: Arc<AtomicBool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !deaf.load(Ordering::SeqCst) && to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_counts_once() {
    let server = Redis::with(&[]);
    let proxy = Proxy::start(server.address()).await;
    let client = Client::open(&format!("redis://{}", proxy.address)).await;
    proxy.lose.store(1, Ordering::SeqCst);
    client.add(cart(1), "a").await.unwrap();
    assert_eq!(proxy.lose.load(Ordering::SeqCst), 0, "the answer was lost");
    assert_eq!(client.carts.cart(cart(1)).await.unwrap().quantity(&sku()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answers_are_all_lost_is_unknown_and_its_repeat_counts_once() {
    let server = Redis::with(&[]);
    let proxy = Proxy::start(server.address()).await;
    let client = Client::open(&format!("redis://{}", proxy.address)).await;
    proxy.lose.store(u32::MAX, Ordering::SeqCst);
    let error = client.add(cart(1), "a").await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error}");
    proxy.lose.store(0, Ordering::SeqCst);
    assert!(client.has(cart(1), "a").await, "it was done");
    client.add(cart(1), "a").await.unwrap();
    assert_eq!(client.carts.cart(cart(1)).await.unwrap().quantity(&sku()), 1);
}
