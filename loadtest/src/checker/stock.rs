//! K7: no piece is made or lost, and what was sold is what was bought (CO-11, CO-12). Over all rows and not only those
//! of this run: the rows stay for ever, so the sums must agree for ever.

use std::collections::BTreeMap;

use super::{Check, Findings, cases::Book, dump::Reservation};

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings) {
    let (mut reserved, mut sold): (BTreeMap<&str, i64>, BTreeMap<&str, i64>) = (BTreeMap::new(), BTreeMap::new());
    for (operation, Reservation { state, lines }) in &book.evidence.dump.reservations {
        let Some(row) = book.by_id.get(operation.as_str()) else {
            findings
                .violation(Check::K7Stock, format!("a reservation belongs to {operation}, which orders does not know"));
            continue;
        };
        let expected = match row.state.as_str() {
            "completed" | "refunded" => "settled",
            "declined" | "refused" => "released",
            _ => "reserved",
        };
        findings.expect(Check::K7Stock, state == expected || row.is_open(), || {
            format!("{operation} is {}, but its pieces are {state}", row.state)
        });
        let sums = match state.as_str() {
            "settled" => &mut sold,
            "reserved" => &mut reserved,
            _ => continue,
        };
        for (sku, quantity) in lines {
            *sums.entry(sku).or_default() += quantity;
        }
    }
    for row in book.new.iter().filter(|row| row.is_paid()) {
        let pieces = book.evidence.dump.reservations.get(&row.id).filter(|reservation| !reservation.lines.is_empty());
        findings.expect(Check::K7Stock, pieces.is_some(), || format!("{} was paid without pieces set aside", row.id));
    }
    for stock in &book.evidence.dump.stock {
        let sum = stock.available + stock.reserved + stock.sold;
        let negative = stock.available < 0 || stock.reserved < 0 || stock.sold < 0;
        findings.expect(Check::K7Stock, sum == stock.stocked && !negative, || {
            let (sku, stocked) = (&stock.sku, stock.stocked);
            format!("{sku}: {} + {} + {} of {stocked} pieces", stock.available, stock.reserved, stock.sold)
        });
        for (what, counted, rows) in [("reserved", stock.reserved, &reserved), ("sold", stock.sold, &sold)] {
            let by_rows = rows.get(stock.sku.as_str()).copied().unwrap_or(0);
            findings.expect(Check::K7Stock, counted == by_rows, || {
                format!("{}: {counted} pieces are {what}, but the reservations say {by_rows}", stock.sku)
            });
        }
    }
}
