//! K6: what was charged is what the order costs, is what its lines cost, is what the customer agreed to (CO-13).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Check, Findings,
    cases::{Book, Case},
};
use crate::wire::{Charge, Order};

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings) {
    let charges: BTreeMap<&str, &Charge> =
        book.evidence.ledger.iter().map(|charge| (charge.reference.as_str(), charge)).collect();
    let intents: BTreeMap<_, _> =
        book.evidence.dump.intents.iter().map(|intent| (intent.operation.as_str(), intent)).collect();
    for row in &book.new {
        let sum: i64 = row.lines.values().map(|(_, total_minor)| total_minor).sum();
        findings.expect(Check::K6Amounts, sum == row.total_minor && !row.lines.is_empty(), || {
            format!("the lines of {} cost {sum}, its total is {}", row.id, row.total_minor)
        });
        if let Some(charge) = charges.get(row.id.as_str()) {
            let same = charge.amount.amount_minor == row.total_minor && charge.amount.currency == row.currency;
            findings.expect(Check::K6Amounts, same, || {
                format!("{} costs {} {}, but {} was charged", row.id, row.total_minor, row.currency, charge.amount)
            });
        }
        let Some(intent) = intents.get(row.id.as_str()) else {
            findings
                .expect(Check::K6Amounts, !row.is_paid(), || format!("{} is paid, and payments has no row", row.id));
            continue;
        };
        let same = intent.amount_minor.is_none_or(|amount_minor| amount_minor == row.total_minor)
            && intent.currency.as_ref().is_none_or(|currency| *currency == row.currency);
        findings.expect(Check::K6Amounts, same, || {
            format!("{} costs {}, but payments meant to charge {:?}", row.id, row.total_minor, intent.amount_minor)
        });
        findings.expect(Check::K6Amounts, row.is_open() || (intent.state == "charged") == row.is_paid(), || {
            format!("{} is {}, but its charge is {}", row.id, row.state, intent.state)
        });
    }
    for case in &book.cases {
        agreed(case, findings);
    }
}

/// The frozen total and every answer against what the customer agreed to.
fn agreed(case: &Case<'_>, findings: &mut Findings) {
    if let (Some(row), Some(agreed_minor)) = (case.row, case.agreed_minor) {
        findings.expect(Check::K6Amounts, row.total_minor == agreed_minor, || {
            format!("the customer of {} agreed to {agreed_minor}, but it costs {}", row.id, row.total_minor)
        });
    }
    let answers = case.sends.iter().filter_map(|sent| sent.told()).filter(|told| told.status == 201);
    for told in answers {
        let order: Option<Order> = serde_json::from_str(&told.body).ok();
        let currency = |order: &Order| serde_json::to_value(&order.total.currency).unwrap_or(Value::Null);
        let honest = order.as_ref().is_some_and(|order| {
            let sum: i64 = order.lines.iter().map(|line| line.line_total.amount_minor).sum();
            let lines = order.lines.iter().all(|line| {
                line.unit_price.amount_minor.checked_mul(line.quantity) == Some(line.line_total.amount_minor)
            });
            let frozen = case.row.is_none_or(|row| row.total_minor == sum && currency(order) == row.currency.as_str());
            lines && sum == order.total.amount_minor && case.agreed_minor.is_none_or(|minor| minor == sum) && frozen
        });
        findings.expect(Check::K6Amounts, honest, || {
            format!(
                "the answer to key {} does not add up: {}",
                case.key,
                told.body.chars().take(300).collect::<String>()
            )
        });
    }
}
