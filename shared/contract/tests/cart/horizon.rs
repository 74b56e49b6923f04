//! CART-8: what is forgotten when an epoch has been over for longer than any replica may have been away.

use crate::{BOOK, TRAIN, joined, live, op, ours, pieces, sku, with};

const HORIZON_MS: i64 = 1_000;

#[test]
fn dots_of_epochs_long_over_are_forgotten_but_for_live_ones() {
    let mut cart = with(&[("bought", BOOK), ("kept", TRAIN)]);
    cart.clear(0, &[op("bought")], 5_000);
    cart.add(op("new"), &sku(BOOK), 1).unwrap();
    assert!(!cart.has_to_forget(5_000 + HORIZON_MS, HORIZON_MS), "somebody may not have heard of it yet");
    assert!(cart.has_to_forget(5_001 + HORIZON_MS, HORIZON_MS));
    cart.forget();
    assert!(!cart.has_to_forget(9_999 + HORIZON_MS, HORIZON_MS));
    assert_eq!(cart.seen.keys().copied().collect::<std::collections::BTreeSet<_>>(), [op("kept"), op("new")].into());
    assert_eq!(pieces(&cart), [(BOOK, 1), (TRAIN, 1)]);
    // Kept through the checkout, and removed after its dot's epoch was forgotten.
    cart.remove(op("remove"), &sku(TRAIN), &live(&cart, TRAIN)).unwrap();
    assert_eq!(pieces(&cart), [(BOOK, 1)]);
}

/// Replicas forget at different times, each when its sweep comes by.
#[test]
fn whoever_forgot_and_whoever_did_not_agree_in_any_order() {
    let mut there = with(&[("bought", BOOK), ("kept", TRAIN)]);
    there.clear(0, &[op("bought")], 5_000);
    let mut here = there.clone();
    here.forget();
    there.add(op("meanwhile"), &sku(BOOK), 2).unwrap();
    let healed = joined(ours, &here, &there);
    assert_eq!(healed, joined(ours, &there, &here));
    assert_eq!((pieces(&healed), healed.floor), (vec![(BOOK, 2), (TRAIN, 1)], 1));
    assert_eq!(joined(ours, &healed, &there), healed, "nothing forgotten comes back");
}

/// It should not have been let in; at least what was bought does not come back with it.
#[test]
fn a_replica_that_was_away_longer_brings_nothing_bought_back() {
    let stale = with(&[("bought", BOOK)]);
    let mut cart = stale.clone();
    cart.clear(0, &[op("bought")], 5_000);
    cart.forget();
    for healed in [joined(ours, &cart, &stale), joined(ours, &stale, &cart)] {
        assert!(pieces(&healed).is_empty(), "{healed:?}");
    }
}
