//! The cart's algebra (CART-1 to CART-8, CART-12): laws, an oracle and cases. All three are needed, and `sensitivity.rs`
//! shows it: a plain union of the lines passes every law and fails oracle and cases, and a one-sided slip in the look at
//! `seen` fails the laws.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cases;
mod horizon;
mod laws;
mod oracle;
mod sensitivity;

use contract::{
    CartId, OpId, Sku,
    cart::{Cart, Entry},
};
use proptest::prelude::ProptestConfig;

const SKUS: [&str; 3] = ["emma", "night-train", "ulysses"];
const BOOK: usize = 0;
const TRAIN: usize = 1;

/// How two states of a cart are joined: ours, or one that the suite must not accept.
type Merge = fn(&mut Cart, &Cart);

fn ours(cart: &mut Cart, other: &Cart) {
    cart.merge(other);
}

/// So many cases on each change; `TRESTLE_CASES` asks for more of each law.
fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("TRESTLE_CASES").ok().map(|cases| cases.parse().unwrap());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

fn cart_id() -> CartId {
    CartId(uuid::Uuid::from_u128(1))
}

fn op(key: impl std::fmt::Display) -> OpId {
    OpId::new(cart_id(), &key.to_string())
}

fn sku(index: usize) -> Sku {
    SKUS[index % SKUS.len()].parse().unwrap()
}

fn joined(merge: Merge, one: &Cart, other: &Cart) -> Cart {
    let mut cart = one.clone();
    merge(&mut cart, other);
    cart
}

/// The products and pieces of a cart, by index of [`SKUS`].
fn pieces(cart: &Cart) -> Vec<(usize, u32)> {
    let index = |sku: &Sku| SKUS.iter().position(|known| *known == sku.as_str()).unwrap();
    cart.contents().map(|(sku, quantity, _)| (index(sku), quantity)).collect()
}

fn live(cart: &Cart, index: usize) -> Vec<OpId> {
    cart.lines.get(&sku(index)).map(|entries| entries.keys().copied().collect()).unwrap_or_default()
}

/// A cart of six operations, each unseen, dropped or live as its byte says. Now and then one dot has two contents, as
/// when a client reuses a key (CART-7).
fn decode(bytes: [u8; 7]) -> Cart {
    let mut cart = Cart { epoch: u64::from(bytes[6] % 3), ..Cart::default() };
    for (number, byte) in bytes.into_iter().take(6).enumerate() {
        let (state, quantity) = (byte % 4, u32::from(byte / 128) * u32::from(byte % 16 == 3));
        if state == 0 {
            continue;
        }
        cart.seen.insert(op(number), u64::from(byte / 64 % 2));
        let entry = if number % 2 == 0 { Entry::Add(1 + quantity) } else { Entry::Set(2 + quantity) };
        let product = if byte > 250 { number + 1 } else { number };
        if state > 1 {
            cart.lines.entry(sku(product)).or_default().insert(op(number), entry);
        }
    }
    cart
}

fn with(adds: &[(&str, usize)]) -> Cart {
    let mut cart = Cart::default();
    for (key, product) in adds {
        cart.add(op(key), &sku(*product), 1).unwrap();
    }
    cart
}
