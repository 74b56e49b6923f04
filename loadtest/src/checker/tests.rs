//! Planted histories (T-8): each check must reject its bad histories and accept the good twins.

mod customers;
mod fixture;
mod money;
mod wellness;

use fixture::{World, good};

use super::{Check, Judgement, judge};
use crate::audit::Verdict;

#[track_caller]
fn passes(world: &World) -> Judgement {
    let judgement = judge(&world.0);
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:#?}");
    judgement
}

/// The check sees it, and says what it is.
#[track_caller]
fn fails(world: &World, check: Check, because: &str) {
    let judgement = judge(&world.0);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    let sentences = judgement.findings.get(&check).map_or(&[][..], |finding| finding.sentences.as_slice());
    assert!(sentences.iter().any(|sentence| sentence.contains(because)), "{check:?} `{because}`: {judgement:#?}");
}

#[test]
fn the_good_history_passes_and_every_check_had_something_to_judge() {
    let judgement = passes(&good());
    let numbers = judgement.numbers;
    assert_eq!((numbers.orders, numbers.charges, numbers.acknowledged, numbers.recovered), (3, 3, 2, 1));
    assert_eq!((numbers.refused, numbers.unused, numbers.unknown), (2, 1, 1));
    for (check, name, _) in Check::ALL {
        assert!(judgement.findings.get(&check).is_some_and(|finding| finding.judged > 0), "{name} judged nothing");
    }
}

#[test]
fn every_check_rejects_at_least_one_planted_history() {
    // The files below are read as text: a check that is added without a planted history fails here.
    let planted =
        [include_str!("tests/customers.rs"), include_str!("tests/money.rs"), include_str!("tests/wellness.rs")];
    for (check, name, _) in Check::ALL {
        let wanted = format!("Check::{check:?}");
        assert!(planted.iter().any(|text| text.contains(&wanted)), "{name} has no planted history");
    }
}
