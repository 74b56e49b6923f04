//! The promise under deaths, hangs and bad networks, in one process under a paused clock. Each seed is one history.

mod faults;
mod histories;
mod net;

use contract::{CartId, OpId, Sku, cart::Cart, session::Session};

use super::{Join as _, Replicated};

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

fn has(node: &Replicated<Cart>, cart: u64, key: &str) -> bool {
    node.get(&cart_id(cart)).is_some_and(|known| known.seen.contains_key(&OpId::new(cart_id(cart), key)))
}

#[test]
fn the_estimate_of_the_size_on_the_wire_is_never_too_small() {
    let mut cart = Cart { epoch: u64::MAX, ..Cart::default() };
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
