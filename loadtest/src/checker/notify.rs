//! K12: one receipt for each order, by its event's id, to the right customer; none for anything else.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Findings, cases::Book};

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings) {
    let mut events: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for receipt in &book.evidence.dump.receipts {
        events.entry(&receipt.order).or_default().insert(&receipt.event);
        let row = book.by_id.get(receipt.order.as_str());
        findings.expect(Check::K12Notify, row.is_some_and(|row| row.is_paid()), || {
            format!("a receipt was sent for {}, which is no paid order", receipt.order)
        });
        findings.expect(Check::K12Notify, row.is_none_or(|row| row.principal == receipt.principal), || {
            format!("the receipt for {} went to {}", receipt.order, receipt.principal)
        });
    }
    for row in book.new.iter().filter(|row| row.is_paid()) {
        let count = events.get(row.id.as_str()).map_or(0, BTreeSet::len);
        findings.expect(Check::K12Notify, count == 1, || format!("order {} has {count} receipts", row.id));
    }
    for (operation, kind) in &book.evidence.dump.outbox {
        if !book.evidence.before.contains(operation) {
            let kind = kind.chars().take(40).collect::<String>();
            findings.violation(Check::K12Notify, format!("{operation} still has something to be done: {kind}"));
        }
    }
}
