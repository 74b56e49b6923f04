//! What every back end of [`CartStore`] must do, as a suite that is run on each. Laws of the cart itself are tested with
//! the cart; here is what only a store can get wrong: atomicity, repeats, and joining instead of replacing.
#![expect(clippy::expect_used, reason = "a suite fails by panicking")]

use std::sync::Arc;

use contract::{
    CartId, OpId, Sku,
    cart::{Cart, Entry, OPS_PER_EPOCH_MAX},
    carts::{CartContents, CartRefusal},
};

use super::{CartChange, CartStore};

const CART: CartId = CartId(uuid::Uuid::from_u128(1));
const GUEST: CartId = CartId(uuid::Uuid::from_u128(2));

/// Runs everything, each part on a store that `make` returns empty.
pub async fn suite(make: impl AsyncFn() -> Arc<dyn CartStore>) {
    unknown_carts_are_empty(&*make().await).await;
    repeats_count_once(&*make().await).await;
    changes_at_once_all_stay(make().await).await;
    a_full_cart_is_left_as_it_was(&*make().await).await;
    merging_joins_and_does_not_replace(&*make().await).await;
    a_guest_is_adopted_once(&*make().await).await;
    pages_cover_all_carts_in_order(&*make().await).await;
}

async fn unknown_carts_are_empty(store: &dyn CartStore) {
    assert_eq!(store.cart(CART).await.expect("read"), Cart::default());
    assert!(store.page(None).await.expect("page").is_empty());
}

async fn repeats_count_once(store: &dyn CartStore) {
    assert_eq!(pieces(&change(store, CART, add("a", 2)).await), [("emma", 2)]);
    assert_eq!(pieces(&change(store, CART, add("a", 2)).await), [("emma", 2)]);
    let set = CartChange::Set { op: op("s"), sku: sku("emma"), observed: vec![op("a")], quantity: 5 };
    assert_eq!(pieces(&change(store, CART, set.clone()).await), [("emma", 5)]);
    let remove = CartChange::Remove { op: op("r"), sku: sku("emma"), observed: vec![op("s")] };
    assert!(change(store, CART, remove.clone()).await.lines.is_empty());
    change(store, CART, add("b", 1)).await;
    // Late repeats of all three.
    for late in [add("a", 2), set, remove] {
        assert_eq!(pieces(&change(store, CART, late).await), [("emma", 1)]);
    }
    let clear = CartChange::Clear { epoch: 0, ops: vec![op("b")], now_ms: 7 };
    let cleared = change(store, CART, clear.clone()).await;
    assert!(cleared.epoch == 1 && cleared.lines.is_empty());
    change(store, CART, add("c", 3)).await;
    let again = change(store, CART, clear).await;
    assert!(again.epoch == 1 && pieces(&again) == [("emma", 3)]);
}

async fn changes_at_once_all_stay(store: Arc<dyn CartStore>) {
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = store.clone();
        writers.spawn(async move { change(&*store, CART, add(&number.to_string(), 1)).await });
    }
    writers.join_all().await;
    assert_eq!(store.cart(CART).await.expect("read").quantity(&sku("emma")), 20);
}

async fn a_full_cart_is_left_as_it_was(store: &dyn CartStore) {
    let mut cart = Cart::default();
    for number in 0..OPS_PER_EPOCH_MAX {
        cart.seen.insert(op(&number.to_string()), 0);
    }
    store.merge(vec![(CART, cart.clone())]).await.expect("merge");
    let refused = store.change(CART, add("one too many", 1)).await.expect("change");
    assert_eq!(refused, Err(CartRefusal::CartFull));
    assert_eq!(store.cart(CART).await.expect("read"), cart);
}

async fn merging_joins_and_does_not_replace(store: &dyn CartStore) {
    change(store, CART, add("here", 1)).await;
    let mut there = Cart::default();
    there.seen.insert(op("there"), 0);
    there.lines.entry(sku("emma")).or_default().insert(op("there"), Entry::Add(2));
    store.merge(vec![(CART, there.clone())]).await.expect("merge");
    store.merge(vec![(CART, there)]).await.expect("merge");
    assert_eq!(store.cart(CART).await.expect("read").quantity(&sku("emma")), 3);
}

async fn a_guest_is_adopted_once(store: &dyn CartStore) {
    change(store, CART, add("own", 1)).await;
    change(store, GUEST, add("guest", 2)).await;
    let guest = store.cart(GUEST).await.expect("read");
    for _ in 0..2 {
        let contents = change(store, CART, CartChange::Adopt { guest: guest.clone() }).await;
        assert_eq!(pieces(&contents), [("emma", 3)]);
    }
    change(store, GUEST, CartChange::AdoptedBy { account: CART }).await;
    assert_eq!(store.cart(GUEST).await.expect("read").adopted_by, Some(CART));
}

async fn pages_cover_all_carts_in_order(store: &dyn CartStore) {
    let ids: Vec<CartId> = (0..150).map(|number| CartId(uuid::Uuid::from_u128(number))).collect();
    for id in ids.iter().rev() {
        change(store, *id, add("a", 1)).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.page(after).await.expect("page");
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        seen.extend(page.into_iter().map(|(id, _)| id));
        assert!(seen.len() <= ids.len(), "a page repeats carts");
    }
    seen.sort_unstable();
    assert_eq!(seen, ids);
}

async fn change(store: &dyn CartStore, cart: CartId, change: CartChange) -> CartContents {
    store.change(cart, change).await.expect("the store works").expect("the cart is not full")
}

fn pieces(contents: &CartContents) -> Vec<(&str, u32)> {
    contents.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect()
}

fn add(key: &str, quantity: u32) -> CartChange {
    CartChange::Add { op: op(key), sku: sku("emma"), quantity }
}

fn op(key: &str) -> OpId {
    OpId::new(CART, key)
}

fn sku(name: &str) -> Sku {
    name.parse().expect("a sku")
}
