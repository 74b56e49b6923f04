//! Several carts nodes in one process, over the real client and server.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{sync::Arc, time::Duration};

use carts::{App, ops};
use contract::{
    CallError, CartId, NoKey, OpId, Operation,
    cart::Cart,
    carts::{Add, Adopt, CartContents, CartRefusal, Clear, MERGE_MAX, Merge, View},
};
use rpc::{Client, ClientOptions, InProcess};
use runtime::{Node, Seams, Secret};
use store::Replicated;

const MEMBERS: &str = "static://a:1,b:1,c:1";
const CART: CartId = CartId(uuid::Uuid::from_u128(1));

fn node(id: &str) -> Node {
    Node::assemble("carts", id, Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap()
}

/// Starts a node and returns it ready.
async fn start(network: &InProcess, address: &str) -> Node {
    let node = node(address);
    let peers = Some(MEMBERS.parse().unwrap());
    let data = Replicated::<Cart>::open(&node, Arc::new(network.clone()), peers, address, 1_000).await;
    network.add(address, ops(App::new(Arc::new(data.clone()), node.seams.clone())).build(&node));
    data.start(&node);
    tokio::time::timeout(Duration::from_secs(5), async {
        while !node.readiness.is_ready() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    node
}

/// A client that knows one node only, so a test decides who is asked.
fn client(network: &InProcess, address: &str) -> Client {
    let discovery = format!("static://{address}").parse().unwrap();
    Client::new(&node("caller"), Arc::new(network.clone()), discovery, ClientOptions::default())
}

async fn call<O: Operation<Retry = contract::AtLeastOnce>>(network: &InProcess, address: &str, request: O) -> O::Reply {
    client(network, address).call(&request, NoKey).await.unwrap()
}

fn add(key: &str, sku: &str) -> Add {
    Add { cart: CART, op: OpId::new(CART, key), sku: sku.parse().unwrap(), quantity: 1 }
}

fn skus(contents: &CartContents) -> Vec<&str> {
    contents.lines.iter().map(|line| line.sku.as_str()).collect()
}

#[tokio::test]
async fn any_node_serves_what_another_acknowledged_also_after_its_death_and_rebirth() {
    let network = InProcess::default();
    let mut nodes = Vec::new();
    for address in ["a:1", "b:1", "c:1"] {
        nodes.push(start(&network, address).await);
    }
    call(&network, "a:1", add("book", "emma")).await;
    network.remove("a:1");
    nodes[0].tasks.stop();
    for address in ["b:1", "c:1"] {
        assert_eq!(skus(&call(&network, address, View { cart: CART }).await), ["emma"]);
    }
    call(&network, "b:1", add("train", "night-train")).await;
    start(&network, "a:1").await;
    assert_eq!(skus(&call(&network, "a:1", View { cart: CART }).await), ["emma", "night-train"]);
    // A repeat on another node counts once.
    let contents = call(&network, "a:1", add("train", "night-train")).await;
    assert!(contents.lines.iter().all(|line| line.quantity == 1));
}

#[tokio::test]
async fn checkout_and_login_work_on_whichever_node_they_reach() {
    let network = InProcess::default();
    for address in ["a:1", "b:1", "c:1"] {
        start(&network, address).await;
    }
    let bought = call(&network, "a:1", add("book", "emma")).await;
    let ops = bought.lines.iter().flat_map(|line| line.ops.clone()).collect::<Vec<_>>();
    call(&network, "b:1", add("during", "night-train")).await;
    let clear = Clear { cart: CART, epoch: bought.epoch, ops };
    for address in ["c:1", "a:1"] {
        let left = call(&network, address, clear.clone()).await;
        assert_eq!((left.epoch, skus(&left)), (1, vec!["night-train"]));
    }
    let account = CartId(uuid::Uuid::from_u128(9));
    for address in ["a:1", "c:1"] {
        let adopted = call(&network, address, Adopt { cart: account, guest: CART }).await;
        assert_eq!((adopted.epoch, skus(&adopted)), (0, vec!["night-train"]));
    }
}

/// The guest pays, and logs in before the checkout is over: what was bought is in neither cart afterwards.
#[tokio::test]
async fn what_a_guest_bought_leaves_the_account_that_adopted_it_too() {
    let network = InProcess::default();
    for address in ["a:1", "b:1"] {
        start(&network, address).await;
    }
    let bought = call(&network, "a:1", add("book", "emma")).await;
    let ops = bought.lines.iter().flat_map(|line| line.ops.clone()).collect::<Vec<_>>();
    call(&network, "a:1", add("other", "night-train")).await;
    let account = CartId(uuid::Uuid::from_u128(9));
    let adopted = call(&network, "b:1", Adopt { cart: account, guest: CART }).await;
    assert_eq!(skus(&adopted), ["emma", "night-train"], "it is bought only when it is paid");
    call(&network, "a:1", Clear { cart: CART, epoch: bought.epoch, ops }).await;
    for cart in [CART, account] {
        assert_eq!(skus(&call(&network, "b:1", View { cart }).await), ["night-train"]);
    }
}

/// CART-7: a client reused a key.
#[tokio::test]
async fn a_key_that_comes_with_another_change_is_refused_while_the_first_is_in_the_cart() {
    let network = InProcess::default();
    start(&network, "a:1").await;
    let client = client(&network, "a:1");
    call(&network, "a:1", add("key", "emma")).await;
    for other in [add("key", "night-train"), Add { quantity: 2, ..add("key", "emma") }] {
        let refused = client.call(&other, NoKey).await;
        assert!(matches!(refused, Err(CallError::Refused(CartRefusal::KeyReused))), "{refused:?}");
    }
    let contents = call(&network, "a:1", add("key", "emma")).await;
    assert_eq!((skus(&contents), contents.lines[0].quantity), (vec!["emma"], 1));
}

/// Restarted and not copied yet, a node would call every cart empty, and a checkout would tell its customer so.
#[tokio::test]
async fn a_node_that_is_copying_serves_its_peers_only() {
    let network = InProcess::default();
    let node = node("a:1");
    let data = Replicated::<Cart>::open(&node, Arc::new(network.clone()), None, "a:1", 10).await;
    network.add("a:1", ops(App::new(Arc::new(data), node.seams.clone())).build(&node));
    let client = client(&network, "a:1");
    assert!(matches!(client.call(&View { cart: CART }, NoKey).await, Err(CallError::NotExecuted(_))));
    assert!(matches!(client.call(&add("book", "emma"), NoKey).await, Err(CallError::NotExecuted(_))));
    client.call(&Merge { entries: vec![(CART, Cart::default())] }, NoKey).await.unwrap();
    node.readiness.set_ready();
    assert!(skus(&client.call(&View { cart: CART }, NoKey).await.unwrap()).is_empty());
}

#[tokio::test]
async fn requests_beyond_the_bounds_are_not_executed() {
    let network = InProcess::default();
    start(&network, "a:1").await;
    let client = client(&network, "a:1");
    let many = Add { quantity: 1_000, ..add("many", "emma") };
    assert!(matches!(client.call(&many, NoKey).await, Err(CallError::NotExecuted(_))));
    let merge = Merge { entries: vec![(CART, Cart::default()); MERGE_MAX + 1] };
    assert!(matches!(client.call(&merge, NoKey).await, Err(CallError::NotExecuted(_))));
    assert!(skus(&call(&network, "a:1", View { cart: CART }).await).is_empty());
}

#[tokio::test]
async fn every_operation_of_the_family_is_served() {
    let node = node("a");
    let data = Replicated::<Cart>::open(&node, Arc::new(InProcess::default()), None, "a:1", 10).await;
    let served = ops(App::new(Arc::new(data), node.seams.clone())).names();
    let ours = contract::OPERATIONS.iter().filter(|info| info.family == contract::Family::Carts);
    let mut declared: Vec<_> = ours.map(|info| info.name).collect();
    declared.sort_unstable();
    assert_eq!(served, declared);
}
