//! The conformance suite on every back end.

use std::sync::Arc;

use carts::store::{CartStore, conformance};
use contract::cart::Cart;
use rpc::InProcess;
use runtime::{Node, Seams, Secret};
use store::Replicated;

#[tokio::test]
async fn memory_conforms() {
    conformance::suite(async || {
        let node = Node::assemble("carts", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
        let carts = Replicated::<Cart>::open(&node, Arc::new(InProcess::default()), None, "a:1", 1_000).await;
        Arc::new(carts) as Arc<dyn CartStore>
    })
    .await;
}
