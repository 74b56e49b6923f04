//! K1 to K5: lost, unexpected, duplicate, the equation, and that everything has ended.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Check, Findings, Numbers,
    cases::{Book, Fate},
};
use crate::wire::Charge;

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings) -> Numbers {
    let charges = new_charges(book, findings);
    let mut by_reference: BTreeMap<&str, usize> = BTreeMap::new();
    for charge in &charges {
        *by_reference.entry(charge.reference.as_str()).or_default() += 1;
    }
    let mut numbers = Numbers { charges: charges.len(), ..Numbers::default() };
    numbers.orders = book.new.iter().filter(|row| row.is_paid()).count();
    lost(book, findings, &mut numbers);
    unexpected(book, &charges, findings);
    duplicate(book, &by_reference, &charges, findings);
    equation(book, &by_reference, findings, &mut numbers);
    resolution(book, findings);
    numbers
}

/// Charges made during the run. The ledger only grows: what is gone from it, or changed, is a violation by itself.
fn new_charges<'a>(book: &Book<'a>, findings: &mut Findings) -> Vec<&'a Charge> {
    let mut old: BTreeMap<&Charge, usize> = BTreeMap::new();
    for charge in &book.evidence.ledger_before {
        *old.entry(charge).or_default() += 1;
    }
    let mut new = Vec::new();
    for charge in &book.evidence.ledger {
        match old.get_mut(charge).filter(|left| **left > 0) {
            Some(left) => *left -= 1,
            None => new.push(charge),
        }
    }
    for (charge, left) in old {
        findings.expect(Check::K2Unexpected, left == 0, || {
            format!("the ledger lost or changed the charge for {}", charge.reference)
        });
    }
    new
}

/// K1.
fn lost(book: &Book<'_>, findings: &mut Findings, numbers: &mut Numbers) {
    let mut bought_by: BTreeMap<&str, &str> = BTreeMap::new();
    for case in &book.cases {
        match case.fate {
            Fate::Bought(id) => {
                numbers.acknowledged += 1;
                let row = book.by_id.get(id);
                findings.expect(Check::K1Lost, row.is_some_and(|row| row.is_paid() && row.key == case.key), || {
                    let now = row.map_or("is lost".to_owned(), |row| format!("is {} under key {}", row.state, row.key));
                    format!("order {id} was acknowledged for key {}, but {now}", case.key)
                });
                if let Some(other) = bought_by.insert(id, case.key) {
                    findings.violation(Check::K1Lost, format!("order {id} answers two keys, {other} and {}", case.key));
                }
            }
            Fate::Refused => numbers.refused += 1,
            Fate::Unused => numbers.unused += 1,
            Fate::Unknown(_) => numbers.unknown += 1,
        }
    }
}

/// K2.
fn unexpected(book: &Book<'_>, charges: &[&Charge], findings: &mut Findings) {
    let tried: BTreeSet<&str> = book.cases.iter().map(|case| case.key).collect();
    let new: BTreeSet<&str> = book.new.iter().map(|row| row.id.as_str()).collect();
    for row in &book.new {
        findings.expect(Check::K2Unexpected, tried.contains(row.key.as_str()), || {
            format!("operation {} has the key {}, which nobody sent", row.id, row.key)
        });
    }
    for charge in charges {
        findings.expect(Check::K2Unexpected, new.contains(charge.reference.as_str()), || {
            format!("the charge for {} belongs to no checkout of this run", charge.reference)
        });
    }
    for intent in &book.evidence.dump.intents {
        findings.expect(Check::K2Unexpected, book.by_id.contains_key(intent.operation.as_str()), || {
            format!("payments has a row for {}, which orders does not know", intent.operation)
        });
    }
}

/// K3.
fn duplicate(book: &Book<'_>, by_reference: &BTreeMap<&str, usize>, charges: &[&Charge], findings: &mut Findings) {
    let mut rows: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in &book.new {
        *rows.entry((&row.principal, &row.key)).or_default() += 1;
        let reservation = book.evidence.dump.reservations.get(&row.id).filter(|found| !found.lines.is_empty());
        let wanted: BTreeMap<&str, i64> = row.lines.iter().map(|(sku, (count, _))| (sku.as_str(), *count)).collect();
        let held = reservation.map(|found| found.lines.iter().map(|(sku, count)| (sku.as_str(), *count)).collect());
        findings.expect(Check::K3Duplicate, held.is_none_or(|held: BTreeMap<_, _>| held == wanted), || {
            format!("the reservation of {} is not what its checkout froze", row.id)
        });
    }
    for ((principal, key), count) in rows {
        findings.expect(Check::K3Duplicate, count == 1, || format!("key {key} of {principal} has {count} operations"));
    }
    for (reference, count) in by_reference {
        findings.expect(Check::K3Duplicate, *count == 1, || format!("{reference} was charged {count} times"));
    }
    for charge in charges {
        // A resend is harmless only under the operation's one key.
        findings.expect(Check::K3Duplicate, charge.key == charge.reference, || {
            format!("{} was charged under the foreign key {}", charge.reference, charge.key)
        });
    }
    let mut buyers: BTreeMap<&str, &str> = BTreeMap::new();
    let paid = |id: &str| book.by_id.get(id).is_some_and(|row| row.is_paid() || row.is_open());
    for (op, operation) in &book.evidence.dump.claimed {
        if let Some(other) = buyers.insert(op, operation).filter(|other| *other != operation && paid(other)) {
            findings.violation(Check::K3Duplicate, format!("cart operation {op} is bought by {other} and {operation}"));
        }
    }
    let mut bought: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for row in book.new.iter().filter(|row| row.is_paid()) {
        for op in &row.ops {
            if let Some(other) = bought.insert((&row.principal, op), &row.id) {
                let sentence = format!("one cart line was bought twice, by {other} and {}", row.id);
                findings.violation(Check::K3Duplicate, sentence);
            }
        }
    }
}

/// K4.
fn equation(book: &Book<'_>, by_reference: &BTreeMap<&str, usize>, findings: &mut Findings, numbers: &mut Numbers) {
    for row in &book.new {
        let charged = by_reference.contains_key(row.id.as_str());
        findings.expect(Check::K4Equation, row.is_open() || row.is_paid() == charged, || {
            let charge = if charged { "a charge" } else { "no charge" };
            format!("operation {} is {} and has {charge}", row.id, row.state)
        });
    }
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for case in &book.cases {
        match (&case.fate, case.row) {
            (Fate::Bought(id), _) => drop(told.insert(id)),
            (Fate::Refused, row) => {
                let gone = row.is_none_or(|row| !row.is_paid() && !by_reference.contains_key(row.id.as_str()));
                findings.expect(Check::K4Equation, gone, || {
                    format!("key {} was refused for good, but was bought", case.key)
                });
            }
            (Fate::Unused, row) => findings.expect(Check::K4Equation, row.is_none(), || {
                format!("key {} was said to stand for nothing, but stands for an operation", case.key)
            }),
            (Fate::Unknown(_), row) => {
                numbers.recovered += usize::from(row.is_some_and(|row| row.is_paid() && told.insert(&row.id)));
            }
        }
    }
    let Numbers { orders, charges, acknowledged, recovered, .. } = *numbers;
    let equal = orders == charges && orders == acknowledged + recovered;
    findings.expect(Check::K4Equation, equal, || {
        let nobodys = book.new.iter().filter(|row| row.is_paid() && !told.contains(row.id.as_str()));
        let nobodys: Vec<_> = nobodys.map(|row| format!("{} of key {}", row.id, row.key)).take(5).collect();
        format!(
            "orders {orders}, charges {charges}, acknowledged {acknowledged} + recovered {recovered}; nobody's: {nobodys:?}"
        )
    });
}

/// K5.
fn resolution(book: &Book<'_>, findings: &mut Findings) {
    for row in &book.new {
        let waits = row.state == "needs_attention" && book.evidence.attention_expected;
        findings.expect(Check::K5Resolution, !row.is_open() || waits, || {
            format!("operation {} has not ended: it is {}", row.id, row.state)
        });
        findings.expect(Check::K5Resolution, row.is_open() || row.answered, || {
            format!("operation {} is {} without a stored answer", row.id, row.state)
        });
        findings.expect(Check::K5Resolution, row.is_open() || !row.keeps_payment, || {
            format!("operation {} is {} and still holds the means of payment", row.id, row.state)
        });
    }
    for case in &book.cases {
        let Fate::Unknown(Some(id)) = case.fate else { continue };
        findings.expect(Check::K5Resolution, book.by_id.contains_key(id), || {
            format!("order {id} was named to its customer, then vanished")
        });
    }
}
