//! The promise under deaths, hangs and bad networks, in one process under a paused clock. Each seed is one history.

mod chaos;
mod deltas;
mod faults;
mod histories;
mod net;
mod repair;
mod sites;
mod strategies;

use contract::{CartId, OpId, Sku, cart::Cart, session::Session};

use tokio::time::sleep;

use self::net::Running;
use super::{Join, Replicated, keeper::ROUND};

/// Waits for a condition, at most a minute of the paused clock.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..240 {
        if condition() {
            return;
        }
        sleep(ROUND).await;
    }
    panic!("the condition never came true");
}

/// Whether no peer owes this node an acknowledgement.
fn is_clean(running: &Running) -> bool {
    running.data.outstanding().iter().all(|(_, keys)| *keys == 0)
}

/// Every key lies with its primaries and nowhere else, with equal bytes. Returns how many keys there are.
fn assert_equal_copies<'a>(nodes: impl Iterator<Item = &'a Running> + Clone) -> usize {
    let bytes = |node: &Replicated<Cart>, key: &CartId| serde_json::to_vec(&node.get(key)).unwrap();
    let mut keys = std::collections::BTreeSet::new();
    for running in nodes.clone() {
        keys.extend(running.data.lock().entries.after(None).map(|(_, key, _)| *key));
        assert_eq!(running.data.hints(), 0, "{} still keeps entries for others", running.name);
    }
    for key in &keys {
        let holds = |running: &&Running| running.data.lock().is_ours(key);
        let first = nodes.clone().find(holds).unwrap();
        for running in nodes.clone() {
            let is_equal = bytes(&running.data, key) == bytes(&first.data, key);
            assert_eq!(is_equal, holds(&running), "{key}: {} and {}", running.name, first.name);
        }
    }
    keys.len()
}

fn sku() -> Sku {
    "emma".parse().unwrap()
}

fn cart_id(number: u64) -> CartId {
    CartId(uuid::Uuid::from_u128(u128::from(number)))
}

/// Adds one piece under a dot of its own, as a customer would.
async fn add(node: &Replicated<Cart>, cart: u64, key: &str) {
    let cart = cart_id(cart);
    let op = OpId::new(cart, key);
    let change = |known: Option<Cart>| {
        let mut cart = known.unwrap_or_default();
        cart.add(op, &sku(), 1).map(|()| (cart, ()))
    };
    node.update(cart, change).await.unwrap().unwrap();
}

/// Whether a customer who asks this node sees the piece.
async fn sees(node: &Replicated<Cart>, cart: u64, key: &str) -> bool {
    let known = node.read(&cart_id(cart)).await.unwrap();
    known.is_some_and(|known| known.seen.contains_key(&OpId::new(cart_id(cart), key)))
}

/// Whether the node itself has it.
fn has(node: &Replicated<Cart>, cart: u64, key: &str) -> bool {
    node.get(&cart_id(cart)).is_some_and(|known| known.seen.contains_key(&OpId::new(cart_id(cart), key)))
}

#[test]
fn the_estimate_of_the_size_on_the_wire_is_never_too_small() {
    let mut cart = Cart {
        epoch: u64::MAX,
        epoch_began_ms: i64::MIN,
        floor: u64::MAX,
        adopted_by: Some(cart_id(7)),
        ..Cart::default()
    };
    for number in 0..500 {
        let sku = format!("{:0>40}", number % 7).parse().unwrap();
        cart.add(OpId::new(cart_id(1), &number.to_string()), &sku, u32::MAX).unwrap();
        assert!(serde_json::to_vec(&(cart_id(1), &cart)).unwrap().len() <= cart.wire_bytes());
    }
    let account =
        contract::session::Account { id: contract::PrincipalId(uuid::Uuid::from_u128(7)), email: "\"".repeat(254) };
    let session = Session { principal: account.id, account: Some(account), expires_at_ms: i64::MIN, revoked: false };
    let id = contract::SessionId::of_token("x");
    assert!(serde_json::to_vec(&(id, &session)).unwrap().len() <= session.wire_bytes());
}
