//! The scenarios of the rules, and those of the bugs that others had (PR 78 and PR 82 of the lineage of ORSWOT).

use contract::{
    cart::{Cart, OPS_PER_EPOCH_MAX, QUANTITY_MAX},
    carts::CartRefusal,
};

use crate::{BOOK, TRAIN, joined, live, op, ours, pieces, sku, with};

#[test]
fn story_the_book_removed_behind_the_cut_does_not_come_back_and_the_train_set_stays() {
    let seattle = with(&[("book", BOOK)]);
    let mut london = joined(ours, &Cart::default(), &seattle);
    // The link is cut: London's customer adds a train set and removes the book.
    london.add(op("train"), &sku(TRAIN), 1).unwrap();
    london.remove(op("remove"), &sku(BOOK), &live(&london, BOOK)).unwrap();
    for healed in [joined(ours, &seattle, &london), joined(ours, &london, &seattle)] {
        assert_eq!(pieces(&healed), [(TRAIN, 1)]);
    }
}

#[test]
fn cart_3_a_remove_takes_what_it_saw_and_leaves_a_new_add_alone() {
    let (mut here, mut there) = (with(&[("a", BOOK)]), with(&[("a", BOOK)]));
    here.remove(op("remove"), &sku(BOOK), &[op("a")]).unwrap();
    there.add(op("b"), &sku(BOOK), 1).unwrap();
    for healed in [joined(ours, &here, &there), joined(ours, &there, &here)] {
        assert_eq!(live(&healed, BOOK), [op("b")]);
        assert_eq!(
            pieces(&joined(ours, &healed, &with(&[("a", BOOK)]))),
            [(BOOK, 1)],
            "not from a stale replica either"
        );
    }
}

#[test]
fn cart_3_a_remove_that_comes_before_its_add_still_removes_it() {
    let mut there = Cart::default();
    there.remove(op("remove"), &sku(BOOK), &[op("a")]).unwrap();
    there.add(op("a"), &sku(BOOK), 1).unwrap();
    assert!(pieces(&there).is_empty());
    assert!(pieces(&joined(ours, &with(&[("a", BOOK)]), &there)).is_empty());
}

#[test]
fn cart_3_a_product_on_both_sides_is_not_therefore_alive() {
    let (mut here, mut there) = (with(&[("a", BOOK), ("b", BOOK)]), with(&[("a", BOOK), ("b", BOOK)]));
    here.remove(op("remove a"), &sku(BOOK), &[op("a")]).unwrap();
    there.remove(op("remove b"), &sku(BOOK), &[op("b")]).unwrap();
    let healed = joined(ours, &here, &there);
    assert!(pieces(&healed).is_empty() && healed.lines.is_empty());
}

#[test]
fn cart_4_an_add_retried_on_both_sides_of_a_cut_counts_once() {
    let healed = joined(ours, &with(&[("a", BOOK), ("b", TRAIN)]), &with(&[("a", BOOK), ("c", TRAIN)]));
    assert_eq!(pieces(&healed), [(BOOK, 1), (TRAIN, 2)]);
}

#[test]
fn cart_5_nothing_bought_comes_back_and_what_was_added_during_checkout_stays() {
    let mut stale = with(&[("book", BOOK)]);
    let mut cart = stale.clone();
    let bought = live(&cart, BOOK);
    cart.add(op("during"), &sku(TRAIN), 1).unwrap();
    cart.clear(0, &bought, 7);
    assert_eq!((cart.epoch, pieces(&cart)), (1, vec![(TRAIN, 1)]));
    // The stale replica even takes another change before it hears of the checkout.
    stale.add(op("meanwhile"), &sku(BOOK), 1).unwrap();
    for healed in [joined(ours, &cart, &stale), joined(ours, &stale, &cart)] {
        assert_eq!((healed.epoch, pieces(&healed)), (1, vec![(BOOK, 1), (TRAIN, 1)]));
    }
    // A late repeat of the clear, also after newer changes, and of the bought add.
    cart.add(op("new"), &sku(BOOK), 1).unwrap();
    cart.clear(0, &bought, 7);
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
    assert_eq!(pieces(&joined(ours, &set(3), &set(5))), [(BOOK, 5)]);
    assert_eq!(pieces(&joined(ours, &set(3), &added)), [(BOOK, 4)]);
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
    assert_eq!(pieces(&joined(ours, &content(2), &content(7))), [(BOOK, 7)]);
    assert_eq!(pieces(&joined(ours, &content(7), &content(2))), [(BOOK, 7)]);
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
    account.clear(2, &[op("guest"), op("own")], 7);
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
    assert_eq!(cart.add(op("more"), &sku(BOOK), 1), Err(CartRefusal::CartFull));
    assert_eq!(cart.set(op("more"), &sku(BOOK), &[op(0)], 1), Err(CartRefusal::CartFull));
    assert_eq!(cart.add(op(0), &sku(BOOK), 1), Ok(()));
    assert_eq!(cart, full);
    cart.clear(0, &live(&cart, BOOK), 7);
    assert_eq!(cart.add(op("more"), &sku(BOOK), 1), Ok(()));
}
