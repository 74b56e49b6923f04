//! CART-1: the join is commutative, associative and idempotent, and a delta does what the whole cart does.

use contract::cart::Cart;
use proptest::prelude::*;

use crate::{Merge, config, decode, joined, ours};

const CASES: u32 = 20_000;

/// Why a law does not hold for three carts, if one does not.
pub(crate) fn broken(merge: Merge, a: &Cart, b: &Cart, c: &Cart) -> Option<&'static str> {
    let join = |one: &Cart, other: &Cart| joined(merge, one, other);
    let both = join(a, b);
    let laws = [
        ("commutative", both == join(b, a)),
        ("associative", join(&both, c) == join(a, &join(b, c))),
        ("idempotent", join(a, a) == *a && join(&both, b) == both),
    ];
    laws.into_iter().find(|(_, holds)| !holds).map(|(law, _)| law)
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn the_laws_hold(a: [u8; 7], b: [u8; 7], c: [u8; 7]) {
        prop_assert_eq!(broken(ours, &decode(a), &decode(b), &decode(c)), None);
    }

    /// A delta since a state that the other may have met or not.
    #[test]
    fn a_delta_does_what_the_changes_did(known: [u8; 7], news: [u8; 7], elsewhere: [u8; 7]) {
        let known = decode(known);
        let now = joined(ours, &known, &decode(news));
        let delta = now.delta(&known);
        prop_assert_eq!(&joined(ours, &known, &delta), &now);
        let elsewhere = joined(ours, &decode(elsewhere), &known);
        prop_assert_eq!(joined(ours, &elsewhere, &delta), joined(ours, &elsewhere, &now));
    }
}
