//! The cart's algebra (CART-1 to CART-8, CART-12): laws, an oracle and cases. All three are needed: a plain union of the
//! lines passes every law and fails only oracle and cases, and a one-sided slip passes most cases and fails the laws.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    CartId, OpId, Sku,
    cart::{Cart, CartFull, Entry, OPS_PER_EPOCH_MAX, QUANTITY_MAX},
};
use proptest::prelude::*;

const LAW_CASES: u32 = 20_000;
const ORACLE_CASES: u32 = 5_000;
const SKUS: [&str; 3] = ["emma", "night-train", "ulysses"];

fn cart_id() -> CartId {
    CartId(uuid::Uuid::from_u128(1))
}

fn op(key: impl std::fmt::Display) -> OpId {
    OpId::new(cart_id(), &key.to_string())
}

fn sku(index: usize) -> Sku {
    SKUS[index % SKUS.len()].parse().unwrap()
}

fn joined(one: &Cart, other: &Cart) -> Cart {
    let mut cart = one.clone();
    cart.merge(other);
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

proptest! {
    #![proptest_config(ProptestConfig { cases: LAW_CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn law_commutative(one: [u8; 7], other: [u8; 7]) {
        let (one, other) = (decode(one), decode(other));
        prop_assert_eq!(joined(&one, &other), joined(&other, &one));
    }

    #[test]
    fn law_associative(a: [u8; 7], b: [u8; 7], c: [u8; 7]) {
        let (a, b, c) = (decode(a), decode(b), decode(c));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
    }

    #[test]
    fn law_idempotent(one: [u8; 7], other: [u8; 7]) {
        let (one, other) = (decode(one), decode(other));
        prop_assert_eq!(&joined(&one, &one), &one);
        let both = joined(&one, &other);
        prop_assert_eq!(joined(&both, &other), both);
    }
}

/// One request as a client sends it, also again and elsewhere: everything in it is fixed before its first send.
#[derive(Clone, Debug)]
enum Request {
    Add { number: usize, product: usize, quantity: u32 },
    Set { number: usize, product: usize, observed: Vec<OpId>, quantity: u32 },
    Remove { number: usize, product: usize, observed: Vec<OpId> },
    Clear { epoch: u64, bought: Vec<OpId> },
}

impl Request {
    /// What a client makes of the cart it sees.
    fn made(kind: u8, number: usize, product: usize, seen: &Cart) -> Self {
        let observed = live(seen, product);
        let quantity = 1 + u32::from(kind / 16);
        match kind % 8 {
            0..=3 => Self::Add { number, product, quantity },
            4 => Self::Set { number, product, observed, quantity },
            5 | 6 => Self::Remove { number, product, observed },
            _ => Self::Clear {
                epoch: seen.epoch,
                bought: seen.lines.values().flat_map(|entries| entries.keys().copied()).collect(),
            },
        }
    }

    fn send(&self, cart: &mut Cart) {
        match self {
            Self::Add { number, product, quantity } => cart.add(op(number), &sku(*product), *quantity).unwrap(),
            Self::Set { number, product, observed, quantity } => {
                cart.set(op(number), &sku(*product), observed, *quantity).unwrap();
            }
            Self::Remove { number, product, observed } => cart.remove(op(number), &sku(*product), observed).unwrap(),
            Self::Clear { epoch, bought } => cart.clear(*epoch, bought),
        }
    }
}

/// Every operation ever issued minus the ids named by any remove, set or clear; knows nothing of merging.
fn oracle(requests: &[Request]) -> Vec<(usize, u32)> {
    let mut named = BTreeSet::new();
    for request in requests {
        match request {
            Request::Add { .. } => {}
            Request::Set { observed: ids, .. }
            | Request::Remove { observed: ids, .. }
            | Request::Clear { bought: ids, .. } => named.extend(ids.iter().copied()),
        }
    }
    let (mut set, mut added) = (BTreeMap::new(), BTreeMap::<usize, u32>::new());
    for request in requests {
        match request {
            Request::Add { number, product, quantity } if !named.contains(&op(number)) => {
                *added.entry(*product).or_default() += quantity;
            }
            Request::Set { number, product, quantity, .. } if !named.contains(&op(number)) => {
                let largest = set.entry(*product).or_default();
                *largest = (*quantity).max(*largest);
            }
            _ => {}
        }
    }
    let products: BTreeSet<usize> = set.keys().chain(added.keys()).copied().collect();
    let total = |product: &usize| set.get(product).unwrap_or(&0) + added.get(product).unwrap_or(&0);
    products.iter().map(|product| (*product, total(product))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ORACLE_CASES, failure_persistence: None, ..ProptestConfig::default() })]

    /// CART-2. Three replicas; messages wait in a mailbox for as long as chance wants (a partition), are delivered in any
    /// order and again; requests are repeated late on any replica.
    #[test]
    fn after_full_exchange_the_oracle_is_right_on_all_replicas(events in prop::collection::vec(any::<[u8; 4]>(), 1..40)) {
        let mut replicas = [Cart::default(), Cart::default(), Cart::default()];
        let (mut mailbox, mut requests) = (Vec::<Cart>::new(), Vec::<Request>::new());
        for [what, kind, at, which] in &events {
            let (at, which) = (usize::from(*at) % 3, usize::from(*which));
            match what % 8 {
                0..=3 => {
                    // The page that the client looks at may be another replica's, and so an old one.
                    let seen = if what / 8 % 4 == 0 { &replicas[which % 3] } else { &replicas[at] };
                    let request = Request::made(*kind, requests.len(), which % SKUS.len(), seen);
                    request.send(&mut replicas[at]);
                    requests.push(request);
                }
                4 if !requests.is_empty() => requests[which % requests.len()].send(&mut replicas[at]),
                5 => mailbox.push(replicas[at].clone()),
                _ if !mailbox.is_empty() => replicas[at].merge(&mailbox[which % mailbox.len()]),
                _ => {}
            }
        }
        // Healing: old messages once more, then everybody hears everybody.
        mailbox.iter().rev().enumerate().for_each(|(number, old)| replicas[number % 3].merge(old));
        for (to, from) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            let from = replicas[from].clone();
            replicas[to].merge(&from);
        }
        let texts: Vec<_> = replicas.iter().map(|cart| serde_json::to_string(cart).unwrap()).collect();
        prop_assert!(texts.iter().all(|text| *text == texts[0]));
        let read: Cart = serde_json::from_str(&texts[0]).unwrap();
        prop_assert_eq!(&read, &replicas[0]);
        prop_assert_eq!(pieces(&read), oracle(&requests), "{:?}", requests);
    }
}

const BOOK: usize = 0;
const TRAIN: usize = 1;

fn with(adds: &[(&str, usize)]) -> Cart {
    let mut cart = Cart::default();
    for (key, product) in adds {
        cart.add(op(key), &sku(*product), 1).unwrap();
    }
    cart
}

#[test]
fn story_the_book_removed_behind_the_cut_does_not_come_back_and_the_train_set_stays() {
    let seattle = with(&[("book", BOOK)]);
    let mut london = joined(&Cart::default(), &seattle);
    // The link is cut: London's customer adds a train set and removes the book.
    london.add(op("train"), &sku(TRAIN), 1).unwrap();
    london.remove(op("remove"), &sku(BOOK), &live(&london, BOOK)).unwrap();
    for healed in [joined(&seattle, &london), joined(&london, &seattle)] {
        assert_eq!(pieces(&healed), [(TRAIN, 1)]);
    }
}

#[test]
fn cart_3_a_remove_takes_what_it_saw_and_leaves_a_new_add_alone() {
    let (mut here, mut there) = (with(&[("a", BOOK)]), with(&[("a", BOOK)]));
    here.remove(op("remove"), &sku(BOOK), &[op("a")]).unwrap();
    there.add(op("b"), &sku(BOOK), 1).unwrap();
    for healed in [joined(&here, &there), joined(&there, &here)] {
        assert_eq!(live(&healed, BOOK), [op("b")]);
        assert_eq!(pieces(&joined(&healed, &with(&[("a", BOOK)]))), [(BOOK, 1)], "not from a stale replica either");
    }
}

#[test]
fn cart_3_a_remove_that_comes_before_its_add_still_removes_it() {
    let mut there = Cart::default();
    there.remove(op("remove"), &sku(BOOK), &[op("a")]).unwrap();
    there.add(op("a"), &sku(BOOK), 1).unwrap();
    assert!(pieces(&there).is_empty());
    assert!(pieces(&joined(&with(&[("a", BOOK)]), &there)).is_empty());
}

#[test]
fn cart_3_a_product_on_both_sides_is_not_therefore_alive() {
    let (mut here, mut there) = (with(&[("a", BOOK), ("b", BOOK)]), with(&[("a", BOOK), ("b", BOOK)]));
    here.remove(op("remove a"), &sku(BOOK), &[op("a")]).unwrap();
    there.remove(op("remove b"), &sku(BOOK), &[op("b")]).unwrap();
    let healed = joined(&here, &there);
    assert!(pieces(&healed).is_empty() && healed.lines.is_empty());
}

#[test]
fn cart_4_an_add_retried_on_both_sides_of_a_cut_counts_once() {
    let healed = joined(&with(&[("a", BOOK), ("b", TRAIN)]), &with(&[("a", BOOK), ("c", TRAIN)]));
    assert_eq!(pieces(&healed), [(BOOK, 1), (TRAIN, 2)]);
}

#[test]
fn cart_5_nothing_bought_comes_back_and_what_was_added_during_checkout_stays() {
    let mut stale = with(&[("book", BOOK)]);
    let mut cart = stale.clone();
    let bought = live(&cart, BOOK);
    cart.add(op("during"), &sku(TRAIN), 1).unwrap();
    cart.clear(0, &bought);
    assert_eq!((cart.epoch, pieces(&cart)), (1, vec![(TRAIN, 1)]));
    // The stale replica even takes another change before it hears of the checkout.
    stale.add(op("meanwhile"), &sku(BOOK), 1).unwrap();
    for healed in [joined(&cart, &stale), joined(&stale, &cart)] {
        assert_eq!((healed.epoch, pieces(&healed)), (1, vec![(BOOK, 1), (TRAIN, 1)]));
    }
    // A late repeat of the clear, also after newer changes, and of the bought add.
    cart.add(op("new"), &sku(BOOK), 1).unwrap();
    cart.clear(0, &bought);
    cart.add(op("book"), &sku(BOOK), 1).unwrap();
    assert_eq!((cart.epoch, pieces(&cart)), (1, vec![(BOOK, 1), (TRAIN, 1)]));
}

#[test]
fn cart_6_quantities_set_and_added_at_once() {
    let base = with(&[("a", BOOK)]);
    let set = |quantity: u32| {
        let mut cart = base.clone();
        cart.set(op(format!("set {quantity}")), &sku(BOOK), &[op("a")], quantity).unwrap();
        cart
    };
    let mut added = base.clone();
    added.add(op("b"), &sku(BOOK), 1).unwrap();
    assert_eq!(pieces(&joined(&set(3), &set(5))), [(BOOK, 5)]);
    assert_eq!(pieces(&joined(&set(3), &added)), [(BOOK, 4)]);
    assert!(pieces(&set(0)).is_empty());
    let mut many = base;
    many.set(op("many"), &sku(BOOK), &[op("a")], u32::MAX).unwrap();
    many.add(op("more"), &sku(BOOK), u32::MAX).unwrap();
    assert_eq!(pieces(&many), [(BOOK, QUANTITY_MAX)]);
}

#[test]
fn cart_7_of_two_contents_of_one_dot_the_larger_wins_everywhere() {
    let content = |quantity: u32| {
        let mut cart = Cart::default();
        cart.add(op("a"), &sku(BOOK), quantity).unwrap();
        cart
    };
    assert_eq!(pieces(&joined(&content(2), &content(7))), [(BOOK, 7)]);
    assert_eq!(pieces(&joined(&content(7), &content(2))), [(BOOK, 7)]);
}

#[test]
fn cart_8_late_repeats_of_set_and_remove_change_nothing() {
    let mut cart = with(&[("a", BOOK)]);
    cart.set(op("set"), &sku(BOOK), &[op("a")], 3).unwrap();
    cart.remove(op("remove"), &sku(BOOK), &[op("set")]).unwrap();
    cart.add(op("b"), &sku(BOOK), 2).unwrap();
    let before = cart.clone();
    cart.set(op("set"), &sku(BOOK), &[op("a")], 3).unwrap();
    cart.remove(op("remove"), &sku(BOOK), &[op("set")]).unwrap();
    // Even one that was rebuilt from a newer page: its own id was seen, so it is a repeat.
    cart.remove(op("remove"), &sku(BOOK), &[op("b")]).unwrap();
    assert_eq!(cart, before);
}

#[test]
fn cart_11_a_guest_is_adopted_once_whatever_became_of_the_account_meanwhile() {
    let mut guest = with(&[("guest", BOOK)]);
    guest.epoch = 5;
    let mut account = with(&[("own", TRAIN)]);
    account.epoch = 2;
    account.adopt(&guest);
    assert_eq!((account.epoch, pieces(&account)), (2, vec![(BOOK, 1), (TRAIN, 1)]));
    let once = account.clone();
    account.adopt(&guest);
    assert_eq!(account, once);
    // Bought, and adopted again by a late repeat: not back in the cart.
    account.clear(2, &[op("guest"), op("own")]);
    account.adopt(&guest);
    assert!(pieces(&account).is_empty());
    assert_eq!(account.epoch, 3);
}

#[test]
fn a_full_cart_refuses_changes_unchanged_takes_repeats_and_starts_afresh_after_checkout() {
    let mut cart = Cart::default();
    for number in 0..OPS_PER_EPOCH_MAX {
        cart.add(op(number), &sku(BOOK), 1).unwrap();
    }
    let full = cart.clone();
    assert_eq!(cart.add(op("more"), &sku(BOOK), 1), Err(CartFull));
    assert_eq!(cart.set(op("more"), &sku(BOOK), &[op(0)], 1), Err(CartFull));
    assert_eq!(cart.add(op(0), &sku(BOOK), 1), Ok(()));
    assert_eq!(cart, full);
    cart.clear(0, &live(&cart, BOOK));
    assert_eq!(cart.add(op("more"), &sku(BOOK), 1), Ok(()));
}
