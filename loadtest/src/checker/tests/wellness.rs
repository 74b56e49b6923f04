//! K15, T-4, T-7 and the verdict `unknown` (T-9).

use serde_json::Value;

use super::{
    Check, fails,
    fixture::{good, refused, told},
    passes,
};
use crate::{
    audit::Verdict,
    checker::{
        Evidence,
        history::{Reply, What},
        judge,
    },
};

#[test]
fn k15_the_shop_gets_well_and_nothing_stays_open() {
    let mut bad = good();
    for number in 0..20 {
        bad.send("", What::Other, "", 10_000 + number * 300, refused(503, "busy", None));
    }
    fails(&bad, Check::K15Liveness, "20 of 122 attempts failed");
    for rest_after_ms in [None, Some(60_001)] {
        let mut bad = good();
        bad.0.phases.rest_after_ms = rest_after_ms;
        fails(&bad, Check::K15Liveness, "was still open 60 s after");
    }
    // The twin: ill for a second after the faults, then well.
    let mut twin = good();
    for number in 0..20 {
        twin.send("", What::Other, "", 10_000 + number * 40, refused(503, "busy", None));
    }
    passes(&twin);
}

#[test]
fn t4_a_fault_counts_only_if_something_worked_afterwards() {
    let mut bad = good();
    bad.0.sometimes.faults_ms.insert("pause".to_owned(), vec![200, 15_000]);
    fails(&bad, Check::T4Sometimes, "no checkout that began after the last fault 'pause' succeeded");
    let mut never = good();
    never.0.sometimes.faults_ms.insert("database".to_owned(), Vec::new());
    let judgement = judge(&never.0);
    assert_eq!(judgement.verdict, Verdict::Unknown);
    assert!(judgement.gaps.iter().any(|gap| gap.contains("'database' was asked for and never hit")));
    let mut unplayed = good();
    unplayed.0.sometimes.tricks.insert("hung up".to_owned(), 0);
    assert_eq!(judge(&unplayed.0).verdict, Verdict::Unknown);
    let mut twin = good();
    twin.0.sometimes.faults_ms.insert("pause".to_owned(), vec![200, 12_000]);
    passes(&twin);
}

#[test]
fn co16_the_provider_never_had_more_calls_than_it_allows() {
    let mut bad = good();
    bad.0.calls_at_once = 51;
    fails(&bad, Check::Co16Permits, "the provider had 51 calls at once");
    let mut twin = good();
    twin.0.calls_at_once = 50;
    passes(&twin);
}

#[test]
fn t7_without_faults_everybody_learns_and_it_is_fast() {
    let mut bad = good();
    bad.checkout("s7", "k7", 1, 13_500, Reply::HungUp);
    fails(&bad, Check::T7Control, "the customer of key k7 was left unknowing");
    let mut bad = good();
    let slow = bad.0.sent.iter_mut().find(|sent| sent.key.as_deref() == Some("k5")).unwrap();
    slow.end_ms = Some(slow.begin_ms + 5_001);
    fails(&bad, Check::T7Control, "p99 of checkouts is 5001 ms");
    let mut bad = good();
    bad.send("", What::Other, "", 12_500, Reply::Lost);
    fails(&bad, Check::T7Control, "attempts failed: Other (no key) at 12500 ms: Lost, no answer");
    // The twins: the run ended meanwhile; a failure before the control phase.
    let mut twin = good();
    twin.send("", What::Other, "", 15_999, Reply::Stopped);
    twin.send("", What::Other, "", 9_000, Reply::Lost);
    passes(&twin);
}

#[test]
fn nothing_to_judge_or_unread_evidence_is_unknown_and_a_proven_fault_outweighs_it() {
    assert_eq!(judge(&Evidence { gaps: vec!["x".to_owned()], ..good().0 }).verdict, Verdict::Unknown);
    let mut both = good();
    both.0.gaps.push("x".to_owned());
    both.0.dump.receipts.clear();
    assert_eq!(judge(&both.0).verdict, Verdict::Fail);
    let mut nothing = good();
    nothing.0.sent.clear();
    nothing.0.dump.operations.clear();
    let judgement = judge(&nothing.0);
    assert_ne!(judgement.verdict, Verdict::Pass);
    // Everybody only browsed: no violation, and still no pass.
    let mut browsing = Evidence { phases: good().0.phases, ..Evidence::default() };
    let mut world = super::World(std::mem::take(&mut browsing));
    for number in 0..100 {
        world.send("", What::Other, "", 10_000 + number * 50, told(200, "", &Value::Null, None));
    }
    let judgement = judge(&world.0);
    assert_eq!(judgement.verdict, Verdict::Unknown, "{judgement:#?}");
    assert!(judgement.gaps.iter().any(|gap| gap.contains("no checkout was acknowledged")));
}
