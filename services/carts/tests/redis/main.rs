//! Carts on real Redis servers that fail: what each of them promises (docs/sharing-strategies.md), and what it does not.
#![expect(clippy::unwrap_used, reason = "a test, also in its helpers")]

mod failover;
mod load;
mod lost;
mod server;

use std::sync::Arc;

use carts::store::{CartChange, CartStore as _};
use contract::{CartId, OpId, Sku, cart::Cart};
use runtime::{Node, Seams, Secret};
use store::{RedisMap, RedisUri, StoreError, StoreUri};

/// A node, whose tasks end with it.
struct Client {
    node: Node,
    carts: RedisMap<Cart>,
}

impl Client {
    /// A node that is up, as `carts::run` makes it.
    async fn open(uri: &str) -> Self {
        let node = node();
        let carts = RedisMap::open(&node, &redis(uri)).await.unwrap();
        carts.start(&node);
        Self { node, carts }
    }

    async fn add(&self, cart: CartId, key: &str) -> Result<(), StoreError> {
        let add = CartChange::Add { op: OpId::new(cart, key), sku: sku(), quantity: 1 };
        self.carts.change(cart, add).await.map(|added| assert!(added.is_ok()))
    }

    /// As often as it takes: a repeat counts once.
    async fn add_somehow(&self, cart: CartId, key: &str) {
        for _ in 0..200 {
            if self.add(cart, key).await.is_ok() {
                return;
            }
        }
        self.add(cart, key).await.unwrap();
    }

    async fn has(&self, cart: CartId, key: &str) -> bool {
        self.carts.cart(cart).await.unwrap().seen.contains_key(&OpId::new(cart, key))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.node.tasks.stop();
    }
}

fn node() -> Node {
    Node::assemble("carts", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap()
}

fn redis(uri: &str) -> RedisUri {
    match uri.parse() {
        Ok(StoreUri::Redis(uri)) => uri,
        other => panic!("{uri} is no Redis: {other:?}"),
    }
}

fn cart(number: u128) -> CartId {
    CartId(uuid::Uuid::from_u128(number))
}

fn sku() -> Sku {
    "emma".parse().unwrap()
}

/// Makes a client that several tasks share.
async fn shared(uri: &str) -> Arc<Client> {
    Arc::new(Client::open(uri).await)
}
