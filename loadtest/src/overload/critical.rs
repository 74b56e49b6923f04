//! Twice the capacity, and 30 % of the offered work is checkouts: they succeed, and browsing is refused instead. The carts
//! are filled before, since filling them is not critical: refused on the way, a customer would offer no critical work.

use super::{
    Findings, Lab,
    figures::{Bound, Figure, Unit},
    shop::{Model, Shop},
    spike::timeline,
    step::{Load, Step, TIMEOUT, offer},
    sums::share,
};
use crate::{
    audit::Outcome,
    open::mix::{Action, Mix},
    report,
};

/// A checkout takes this many times as long as a page, as in real shops.
const CHECKOUT: u32 = 5;
/// Of the capacity.
const OFFERED: f64 = 2.0;
/// Of the offered work.
const CRITICAL: f64 = 0.3;

/// Arrivals a second of checkouts and of pages, so that all of it is `OFFERED` times the capacity and checkouts are
/// `CRITICAL` of it.
fn rates(capacity: f64) -> (f64, f64) {
    let work = OFFERED * capacity;
    let checkouts = CRITICAL * work / f64::from(CHECKOUT);
    (checkouts, work - checkouts * f64::from(CHECKOUT))
}

pub(super) async fn run(lab: &Lab<'_>) -> anyhow::Result<Findings> {
    let model = Model { checkout: CHECKOUT, ..Model::of(lab.options) };
    let shop = Shop::open(lab.options, "critical", 2, Some(model)).await?;
    let peak = lab.peak(&shop).await?.rate;
    let (checkouts, pages) = rates(peak);
    report::note(&format!("{checkouts:.1} checkouts and {pages:.0} pages a second, twice the capacity of {peak:.0}"));
    let mix = Mix::new("checkouts among pages", &[(Action::Pay, checkouts), (Action::Product, pages)]);
    let load = Load { counted: true, ..Load::steady(mix, checkouts + pages, lab.options.step) };
    let seen = offer(lab.options, &shop, &load, lab.seed).await?;
    let step = Step::new(OFFERED, lab.options.protection, &seen);
    step.note();
    shop.end().await?;

    let counts = |action| seen.run.actions.get(&action).map(|record| record.counts).unwrap_or_default();
    let (pay, page) = (counts(Action::Pay), counts(Action::Product));
    let begun = u64::try_from(seen.run.checkouts.len()).unwrap_or(0);
    let told = |checkout: &&crate::journey::Checkout| matches!(checkout.outcome, Outcome::Acknowledged { .. });
    let told = u64::try_from(seen.run.checkouts.iter().filter(told).count()).unwrap_or(0);
    let kinds = seen.run.actions.get(&Action::Pay).map(|record| &record.kinds).into_iter().flatten();
    let others: Vec<_> = kinds.map(|(kind, count)| format!("{count} {kind}")).collect();
    let work = u64::from(CHECKOUT) * begun;
    let part = share(work, work + page.offered).unwrap_or(f64::NAN);
    // An answer after the timeout is none. The deadline of pages is no bound of a payment, so it is only reported.
    let what = "checkouts that succeed at 2x with 30 % critical work";
    let figure = Figure::new("F6", what, Unit::Percent, share(told, begun))
        .must(Bound::AtLeast(0.99), Bound::AtLeast(0.999))
        .of(format!(
            "{begun} payments, {told} paid within {TIMEOUT:?}, {} within {:?}; {:.1} % of the offered work",
            pay.good,
            lab.options.deadline,
            100.0 * part,
        ))
        .of(if others.is_empty() { "no payment failed".to_owned() } else { others.join(", ") })
        .of(format!(
            "pages: {} offered, {:.1} % good, {:.1} % refused",
            page.offered,
            100.0 * share(page.good, page.offered).unwrap_or(f64::NAN),
            100.0 * share(page.shed, page.offered).unwrap_or(f64::NAN)
        ))
        .unless(&step.invalid)
        .unless(&off_the_mark(part));
    Ok(Findings {
        figures: vec![figure],
        timelines: vec![timeline("critical work at 2x", &seen)],
        ..Findings::default()
    })
}

/// A run with much less critical work than promised proves less than it says.
fn off_the_mark(part: f64) -> Vec<String> {
    let least = 0.9 * CRITICAL;
    let doubt = || {
        format!("checkouts were {:.1} % of the offered work, at least {:.0} % are needed", 100.0 * part, 100.0 * least)
    };
    if part >= least { Vec::new() } else { vec![doubt()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkouts_are_thirty_percent_of_twice_the_capacity() {
        let (checkouts, pages) = rates(200.0);
        let critical = checkouts * f64::from(CHECKOUT);
        let all = critical + pages;
        assert!((all - 400.0).abs() < 1e-9 && (critical / all - 0.3).abs() < 1e-9);
        assert!(pages > 0.0);
        assert_eq!((off_the_mark(0.28).len(), off_the_mark(0.2).len(), off_the_mark(f64::NAN).len()), (0, 1, 1));
    }
}
