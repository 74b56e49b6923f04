//! `catalogue.reserve`: takes pieces out of stock for one checkout, all of them or none, once.

use std::collections::BTreeMap;

use contract::{
    CallError, Once, Outcome, Sku,
    catalogue::{PRODUCTS_MAX, Pieces, Reserve},
};

use crate::App;

/// Most pieces of one line, as the public API has it.
const QUANTITY_MAX: u32 = 999;

pub(crate) async fn reserve(app: App, op: Reserve, once: Once) -> Outcome<Reserve> {
    // Release and settle know the operation only, so an id of its own could reserve twice for one checkout.
    if once.id().as_str() != op.operation.to_string() {
        return Err(CallError::NotExecuted("the request id of a reservation is its operation".to_owned()));
    }
    let lines = by_sku(&op.lines).map_err(CallError::NotExecuted)?;
    let answer = app.stock.reserve(&once, op.operation, &lines).await?;
    app.shelf.changed();
    answer.map_err(CallError::Refused)
}

/// One line a product, in the order of skus, so that two reservations never wait for each other in a circle. What is
/// refused here the edge refuses already; nothing is remembered about it.
fn by_sku(lines: &[Pieces]) -> Result<BTreeMap<Sku, u32>, String> {
    if lines.is_empty() || lines.len() > PRODUCTS_MAX {
        return Err(format!("a reservation has 1 to {PRODUCTS_MAX} lines"));
    }
    let mut sums = BTreeMap::new();
    for line in lines {
        let sum: &mut u32 = sums.entry(line.sku.clone()).or_default();
        *sum = sum.saturating_add(line.quantity);
        if line.quantity == 0 || *sum > QUANTITY_MAX {
            return Err(format!("{}: a reservation has 1 to {QUANTITY_MAX} pieces of a product", line.sku));
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_product_are_summed_and_bounded() {
        let line = |sku: &str, quantity| Pieces { sku: sku.parse().unwrap(), quantity };
        let sums = by_sku(&[line("bbb", 2), line("aaa", 1), line("bbb", 3)]).unwrap();
        assert_eq!(
            sums.into_iter().map(|(sku, sum)| (sku.to_string(), sum)).collect::<Vec<_>>(),
            [("aaa".to_owned(), 1), ("bbb".to_owned(), 5)]
        );
        for bad in [vec![], vec![line("aaa", 0)], vec![line("aaa", 1_000)], vec![line("aaa", 999), line("aaa", 1)]] {
            assert!(by_sku(&bad).is_err(), "{bad:?}");
        }
        assert!(by_sku(&vec![line("aaa", 1); PRODUCTS_MAX + 1]).is_err());
    }
}
