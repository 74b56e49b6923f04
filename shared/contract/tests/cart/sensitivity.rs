//! CART-12: two merges that are wrong, and what of the suite sees it. A suite without one of its parts would pass them.

use contract::cart::Cart;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use crate::{BOOK, Merge, TRAIN, config, decode, joined, laws, live, op, oracle, pieces, sku, with};

const CASES: u32 = 20_000;

/// Dynamo's cart: the union of the lines. A join, too.
fn union(cart: &mut Cart, other: &Cart) {
    let lines = cart.lines.clone();
    cart.merge(other);
    for (sku, entries) in lines.iter().chain(&other.lines) {
        let mine = cart.lines.entry(sku.clone()).or_default();
        for (op, entry) in entries {
            let known = mine.entry(*op).or_insert(*entry);
            *known = (*known).max(*entry);
        }
    }
}

/// Looks at its own `seen`, and forgets to look at the other's.
fn one_sided(cart: &mut Cart, other: &Cart) {
    let lines = cart.lines.clone();
    cart.merge(other);
    for (sku, entries) in &lines {
        let mine = cart.lines.entry(sku.clone()).or_default();
        for (op, entry) in entries {
            mine.entry(*op).or_insert(*entry);
        }
    }
}

/// The same random cases at each run.
fn runner() -> TestRunner {
    TestRunner::new_with_rng(config(CASES), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn laws_catch(merge: Merge) -> bool {
    let carts = any::<([u8; 7], [u8; 7], [u8; 7])>();
    let law = |(a, b, c)| {
        prop_assert_eq!(laws::broken(merge, &decode(a), &decode(b), &decode(c)), None);
        Ok(())
    };
    runner().run(&carts, law).is_err()
}

fn oracle_catches(merge: Merge) -> bool {
    let run = |events: Vec<[u8; 4]>| {
        prop_assert_eq!(oracle::broken(merge, &events), None);
        Ok(())
    };
    runner().run(&prop::collection::vec(any::<[u8; 4]>(), 1..40), run).is_err()
}

/// The story of `cases.rs`, whichever side hears of the other.
fn the_story_catches(merge: Merge) -> bool {
    let seattle = with(&[("book", BOOK)]);
    let mut london = joined(merge, &Cart::default(), &seattle);
    london.add(op("train"), &sku(TRAIN), 1).unwrap();
    london.remove(op("remove"), &sku(BOOK), &live(&london, BOOK)).unwrap();
    [joined(merge, &seattle, &london), joined(merge, &london, &seattle)].iter().any(|cart| pieces(cart) != [(TRAIN, 1)])
}

/// A remove and a new add at once, as ported from the lineage's regression tests, seen from the side that removed.
fn the_ported_case_catches(merge: Merge) -> bool {
    let (mut here, mut there) = (with(&[("a", BOOK)]), with(&[("a", BOOK)]));
    here.remove(op("remove"), &sku(BOOK), &[op("a")]).unwrap();
    there.add(op("b"), &sku(BOOK), 1).unwrap();
    live(&joined(merge, &here, &there), BOOK) != [op("b")]
}

#[test]
fn a_plain_union_passes_every_law_and_is_caught_by_oracle_and_cases() {
    assert!(!laws_catch(union), "a union is a join");
    assert!(oracle_catches(union) && the_story_catches(union) && the_ported_case_catches(union));
}

#[test]
fn a_one_sided_slip_passes_the_ported_case_and_is_caught_by_laws_and_oracle() {
    assert!(!the_ported_case_catches(one_sided));
    assert!(laws_catch(one_sided) && oracle_catches(one_sided));
}

#[test]
fn the_right_merge_passes() {
    let ours: Merge = crate::ours;
    assert!(!laws_catch(ours) && !oracle_catches(ours) && !the_story_catches(ours) && !the_ported_case_catches(ours));
}
