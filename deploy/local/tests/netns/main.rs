//! A real partition: two carts nodes in network namespaces of their own, joined by a bridge, parted by the kernel, which
//! drops their packets to each other. Both take writes meanwhile and merge when packets pass again.
//!
//! Injected faults (`tests/faults`) are obeyed by our own client; this shows that nothing depends on that. It needs root,
//! `ip` and `iptables`, and says so where it is skipped.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../common/alone.rs"]
mod alone;
mod net;

use std::{path::Path, process::Command, time::Duration};

use contract::{
    AtLeastOnce, CartId, NoKey, OpId, Operation, Outcome,
    carts::{Add, CartContents, Remove, View},
};
use rpc::{Client, ClientOptions, HttpTransport};
use runtime::{Node, Seams, Secret};
use tokio::time::Instant;

use alone::Alone;
use net::Net;

const SECRET: &str = "0123456789abcdef";
const BOOK: &str = "pride-and-prejudice";
const TRAINS: &str = "train-set-highland-express";
/// How long anything may take before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// One carts node in a namespace, and a client of it alone.
struct Carts {
    _process: Alone,
    client: Client,
    cart: CartId,
}

impl Carts {
    fn start(net: &Net, number: usize, folder: &Path, node: &Node, cart: CartId) -> Self {
        let [own, other] = [number, 1 - number].map(|number| format!("{}:7000", net.address(number)));
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &net.namespace(number), env!("CARGO_BIN_EXE_trestle"), "node", "carts"])
            .args(["--listen", &own, "--peers", &format!("static://{own},{other}"), "--secret-file"])
            .arg(folder.join("secret"));
        let process = Alone::start(&mut command, &folder.join(format!("carts-{number}.log")));
        let transport = std::sync::Arc::new(HttpTransport::new(node, contract::Family::Carts));
        let discovery = format!("static://{own}").parse().unwrap();
        let client = Client::new(node, transport, discovery, ClientOptions::default());
        Self { _process: process, client, cart }
    }

    async fn call<O: Operation<Retry = AtLeastOnce>>(&self, request: &O) -> Outcome<O> {
        self.client.call(request, NoKey).await
    }

    async fn view(&self) -> Option<CartContents> {
        self.call(&View { cart: self.cart }).await.ok()
    }

    async fn add(&self, sku: &str, key: &str) {
        let add = Add { cart: self.cart, op: OpId::new(self.cart, key), sku: sku.parse().unwrap(), quantity: 1 };
        self.call(&add).await.unwrap();
    }

    async fn remove(&self, sku: &str, key: &str) {
        let sku = sku.parse().unwrap();
        let line = self.view().await.unwrap().lines.into_iter().find(|line| line.sku == sku).unwrap();
        let remove = Remove { cart: self.cart, op: OpId::new(self.cart, key), sku, observed: line.ops };
        self.call(&remove).await.unwrap();
    }

    async fn skus(&self) -> Vec<String> {
        let lines = self.view().await.map(|contents| contents.lines).unwrap_or_default();
        lines.into_iter().map(|line| line.sku.to_string()).collect()
    }
}

async fn until(what: &str, folder: &Path, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds().await {
        let logs =
            || [0, 1].map(|at| std::fs::read_to_string(folder.join(format!("carts-{at}.log"))).unwrap_or_default());
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}\n{}", logs().join("\n"));
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_that_the_kernel_has_parted_take_writes_and_merge() {
    let net = match Net::new() {
        Ok(net) => net,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let node = Node::assemble("test", "test", Seams::system(), Secret::new(SECRET).unwrap()).unwrap();
    let cart = CartId(node.seams.uuid());
    let [seattle, london] = [0, 1].map(|number| Carts::start(&net, number, folder.path(), &node, cart));
    until("both nodes answer", folder.path(), async || seattle.view().await.is_some() && london.view().await.is_some())
        .await;
    seattle.add(BOOK, "the book").await;
    until("London has the book", folder.path(), async || london.skus().await == [BOOK]).await;

    net.part();
    london.add(TRAINS, "the train set").await;
    london.remove(BOOK, "no book").await;
    seattle.add("emma", "another book").await;
    assert_eq!(
        (london.skus().await, seattle.skus().await),
        (vec![TRAINS.to_owned()], vec!["emma".to_owned(), BOOK.to_owned()])
    );
    assert!(net.dropped() > 0, "the kernel has dropped nothing, so they were never parted");

    net.join();
    let merged = ["emma", TRAINS];
    let took = until("both have merged", folder.path(), async || {
        seattle.skus().await == merged && london.skus().await == merged
    })
    .await;
    println!("merged {took:?} after packets passed again, {} were dropped before", net.dropped());
    node.tasks.stop();
}
