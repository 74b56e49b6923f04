//! K1 to K7, K12 and K13: orders, charges, stock, receipts.

use super::{
    Check, fails,
    fixture::{bought, charge, good, refused},
    passes,
};
use crate::checker::history::Reply;

#[test]
fn k1_an_acknowledged_order_may_not_be_lost() {
    let mut bad = good();
    bad.0.dump.operations.retain(|row| row.id != "o1");
    fails(&bad, Check::K1Lost, "order o1 was acknowledged for key k1, but is lost");
    let mut bad = good();
    bad.operation("o1").state = "declined".to_owned();
    fails(&bad, Check::K1Lost, "but is declined");
    let mut bad = good();
    bad.checkout("s1", "k1-other", 2, 700, bought("o1", "A", 2));
    fails(&bad, Check::K1Lost, "order o1 answers two keys");
    // The twin: of an order that nobody was told of, nothing is expected.
    let mut twin = good();
    twin.checkout("s7", "k7", 2, 300, Reply::Lost);
    passes(&twin);
}

#[test]
fn k2_nothing_happens_that_nobody_asked_for() {
    let mut bad = good();
    bad.row("ghost", "p9", "k-nobody", "completed", "A", 1);
    fails(&bad, Check::K2Unexpected, "which nobody sent");
    let mut bad = good();
    bad.0.ledger.push(charge("stranger", 7));
    fails(&bad, Check::K2Unexpected, "the charge for stranger belongs to no checkout");
    let mut bad = good();
    bad.0.ledger.remove(0);
    fails(&bad, Check::K2Unexpected, "the ledger lost or changed the charge for old");
    // The twins: it was there before the run.
    let mut twin = good();
    twin.row("ghost", "p9", "k-nobody", "completed", "A", 1);
    twin.0.before.insert("ghost".to_owned());
    twin.0.ledger_before.push(charge("ghost", 100));
    passes(&twin);
}

#[test]
fn k3_one_key_has_one_of_everything() {
    let mut bad = good();
    bad.0.ledger.push(charge("o1", 200));
    fails(&bad, Check::K3Duplicate, "o1 was charged 2 times");
    let mut bad = good();
    bad.row("o1-again", "p1", "k1", "completed", "A", 2);
    fails(&bad, Check::K3Duplicate, "key k1 of p1 has 2 operations");
    let mut bad = good();
    bad.0.ledger[1].key = "per-attempt".to_owned();
    fails(&bad, Check::K3Duplicate, "charged under the foreign key per-attempt");
    let mut bad = good();
    bad.0.dump.reservations.get_mut("o1").unwrap().lines.insert("B".to_owned(), 1);
    fails(&bad, Check::K3Duplicate, "the reservation of o1 is not what its checkout froze");
    let mut bad = good();
    bad.checkout("s1", "k1-two", 2, 700, bought("o8", "A", 2));
    bad.row("o8", "p1", "k1-two", "completed", "A", 2);
    bad.operation("o8").ops = vec!["op-o1".to_owned()];
    fails(&bad, Check::K3Duplicate, "one cart line was bought twice");
    // The twin: two keys of one session that bought different lines.
    let mut twin = good();
    twin.add("s1", "A", 2, 620, &[("A", 2)]);
    twin.checkout("s1", "k1-two", 2, 700, bought("o8", "A", 2));
    twin.row("o8", "p1", "k1-two", "completed", "A", 2);
    passes(&twin);
}

#[test]
fn k4_orders_are_charges_are_what_customers_were_told() {
    let mut bad = good();
    bad.0.ledger.retain(|charge| charge.reference != "o2");
    fails(&bad, Check::K4Equation, "operation o2 is completed and has no charge");
    let mut bad = good();
    bad.0.ledger.push(charge("o3", 100));
    fails(&bad, Check::K4Equation, "key k3 was refused for good, but was bought");
    let mut bad = good();
    bad.row("o6", "p6", "k6", "declined", "A", 1);
    fails(&bad, Check::K4Equation, "key k6 was said to stand for nothing");
    let mut twin = good();
    twin.checkout("s6", "k6", 1, 400, refused(402, "declined", Some("o6")));
    twin.row("o6", "p6", "k6", "declined", "A", 1);
    passes(&twin);
    // A stranger to the databases, who used another's key and was never answered: the row that is left over is theirs, and
    // a second one is nobody's.
    let mut twin = good();
    twin.checkout("s7", "k1", 1, 700, Reply::Lost);
    twin.row("o7", "p7", "k1", "completed", "A", 1);
    assert_eq!(passes(&twin).numbers.recovered, 2);
    let mut bad = twin;
    bad.row("o8", "p8", "k1", "completed", "A", 1);
    fails(&bad, Check::K4Equation, "nobody's: [");
}

#[test]
fn k5_everything_ends_definitely() {
    for state in ["accepted", "needs_attention"] {
        let mut bad = good();
        bad.operation("o2").state = state.to_owned();
        bad.0.ledger.retain(|charge| charge.reference != "o2");
        fails(&bad, Check::K5Resolution, &format!("operation o2 has not ended: it is {state}"));
    }
    let mut bad = good();
    bad.operation("o3").keeps_payment = true;
    fails(&bad, Check::K5Resolution, "still holds the means of payment");
    let mut bad = good();
    bad.operation("o3").answered = false;
    fails(&bad, Check::K5Resolution, "without a stored answer");
    let mut bad = good();
    bad.checkout("s7", "k7", 1, 300, refused(202, "", Some("o7")));
    fails(&bad, Check::K5Resolution, "order o7 was named to its customer, then vanished");
    // The twin: a scenario that leaves work for people.
    let mut twin = good();
    twin.checkout("s7", "k7", 1, 300, refused(202, "", Some("o7")));
    twin.row("o7", "p7", "k7", "declined", "A", 1);
    twin.operation("o7").state = "needs_attention".to_owned();
    twin.0.attention_expected = true;
    passes(&twin);
}

#[test]
fn k6_the_amounts_agree() {
    let mut bad = good();
    bad.0.ledger[1].amount.amount_minor += 1;
    fails(&bad, Check::K6Amounts, "o1 costs 200 GBP, but 201 minor units GBP was charged");
    let mut bad = good();
    bad.0.ledger[1].amount.currency = "USD".to_owned();
    fails(&bad, Check::K6Amounts, "USD was charged");
    let mut bad = good();
    bad.operation("o1").lines.insert("B".to_owned(), (1, 100));
    fails(&bad, Check::K6Amounts, "the lines of o1 cost 300, its total is 200");
    let mut bad = good();
    bad.intent("o1").amount_minor = Some(199);
    fails(&bad, Check::K6Amounts, "payments meant to charge Some(199)");
    let mut bad = good();
    bad.intent("o1").state = "declined".to_owned();
    fails(&bad, Check::K6Amounts, "o1 is completed, but its charge is declined");
    // What was agreed: the customer of o1 sent 200.
    let mut bad = good();
    bad.checkout("s7", "k7", 1, 300, bought("o7", "A", 2));
    bad.row("o7", "p7", "k7", "completed", "A", 2);
    fails(&bad, Check::K6Amounts, "the customer of o7 agreed to 100, but it costs 200");
    let mut twin = good();
    twin.add("s7", "A", 2, 100, &[("A", 2)]);
    twin.checkout("s7", "k7", 2, 300, bought("o7", "A", 2));
    twin.row("o7", "p7", "k7", "completed", "A", 2);
    passes(&twin);
}

#[test]
fn k7_no_piece_is_made_or_lost() {
    let mut bad = good();
    bad.stock("A").available += 1;
    fails(&bad, Check::K7Stock, "of 10 pieces");
    let mut bad = good();
    (bad.stock("A").available, bad.stock("A").sold) = (6, 4);
    fails(&bad, Check::K7Stock, "A: 4 pieces are sold, but the reservations say 3");
    let mut bad = good();
    (bad.stock("A").available, bad.stock("A").reserved) = (11, -4);
    fails(&bad, Check::K7Stock, "11 + -4 + 3 of 10");
    for (id, state) in [("o1", "reserved"), ("o1", "released"), ("o3", "reserved"), ("o3", "settled")] {
        let mut bad = good();
        bad.0.dump.reservations.get_mut(id).unwrap().state = state.to_owned();
        fails(&bad, Check::K7Stock, &format!("but its pieces are {state}"));
    }
    let mut bad = good();
    bad.0.dump.reservations.remove("o1");
    fails(&bad, Check::K7Stock, "o1 was paid without pieces set aside");
    // The twin: the pieces of an open checkout are set aside.
    let mut twin = good();
    twin.checkout("s7", "k7", 1, 300, refused(202, "", Some("o7")));
    twin.row("o7", "p7", "k7", "declined", "A", 1);
    twin.operation("o7").state = "needs_attention".to_owned();
    twin.0.attention_expected = true;
    twin.0.dump.reservations.get_mut("o7").unwrap().state = "reserved".to_owned();
    (twin.stock("A").available, twin.stock("A").reserved) = (6, 1);
    passes(&twin);
}

#[test]
fn k12_one_receipt_for_each_order() {
    let mut bad = good();
    bad.0.dump.receipts.remove(0);
    fails(&bad, Check::K12Notify, "order o1 has 0 receipts");
    let mut bad = good();
    let mut second = bad.0.dump.receipts[0].clone();
    second.event = "another".to_owned();
    bad.0.dump.receipts.push(second);
    fails(&bad, Check::K12Notify, "order o1 has 2 receipts");
    let mut bad = good();
    bad.0.dump.receipts[0].order = "o3".to_owned();
    fails(&bad, Check::K12Notify, "a receipt was sent for o3, which is no paid order");
    let mut bad = good();
    bad.0.dump.receipts[0].principal = "p2".to_owned();
    fails(&bad, Check::K12Notify, "the receipt for o1 went to p2");
    let mut bad = good();
    bad.0.dump.outbox.push(("o1".to_owned(), "send_receipt".to_owned()));
    fails(&bad, Check::K12Notify, "o1 still has something to be done");
    // The twin: the same event twice is one receipt.
    let mut twin = good();
    let again = twin.0.dump.receipts[0].clone();
    twin.0.dump.receipts.push(again);
    passes(&twin);
}

#[test]
fn k13_not_executed_means_that_nothing_happened() {
    let mut bad = good();
    bad.row("o6", "p6", "k6", "completed", "A", 1);
    fails(&bad, Check::K13CallClass, "every attempt of key k6 was 'not executed', but it has an operation");
    let mut bad = good();
    bad.intent("o1").maybe_sent = 2;
    fails(&bad, Check::K13CallClass, "the charge of o1 is charged: 2 of 1 sends");
    let mut bad = good();
    bad.intent("o3").state = "intended".to_owned();
    fails(&bad, Check::K13CallClass, "the charge of o3 is intended");
    let mut bad = good();
    bad.add("s8", "A", 2, 100, &[("A", 1)]);
    fails(&bad, Check::K13CallClass, "the answer to adding 2 of A shows 1");
    // The twin: one attempt had no answer, so the operation may be there.
    let mut twin = good();
    twin.checkout("s6", "k6", 1, 400, Reply::Lost);
    twin.row("o6", "p6", "k6", "completed", "A", 1);
    passes(&twin);
}
