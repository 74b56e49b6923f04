//! K15 liveness, T-4 sometimes, T-7 control: did it get well, were the faults real, and is it well without them?

use super::{
    Check, Findings,
    cases::{Book, Fate},
    history::{Sent, What},
};

/// By then the shop must be well again.
const WELL_WITHIN_MS: u64 = 30_000;
/// Nothing may stay open for longer.
const REST_WITHIN_MS: u64 = 60_000;
/// Failed attempts of a thousand that are still "well".
const FAILED_MAX_PER_MILLE: usize = 1;
/// Fewer attempts than this prove nothing.
const ATTEMPTS_MIN: usize = 50;
/// Failed attempts that a verdict describes.
const FAILURES_SHOWN: usize = 5;
/// Without faults a checkout is answered within the time after which the shop itself would say "later".
const CONTROL_P99_MAX_MS: u64 = 5_000;

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings, gaps: &mut Vec<String>) {
    well_again(book, findings, gaps);
    sometimes(book, findings, gaps);
    control(book, findings, gaps);
}

fn few_failed(sent: &[&Sent]) -> bool {
    let failed = sent.iter().filter(|sent| sent.failed()).count();
    failed * 1_000 <= sent.len() * FAILED_MAX_PER_MILLE
}

/// How many failed, and the first of them as their customers saw it.
fn failures(sent: &[&Sent]) -> String {
    let failed: Vec<_> = sent.iter().filter(|sent| sent.failed()).collect();
    let shown: Vec<_> = failed.iter().take(FAILURES_SHOWN).map(|sent| sent.in_words()).collect();
    format!("{} of {} attempts failed: {}", failed.len(), sent.len(), shown.join("; "))
}

/// K15.
fn well_again(book: &Book<'_>, findings: &mut Findings, gaps: &mut Vec<String>) {
    let (healed_ms, end_ms) = (book.evidence.phases.healed_ms, book.evidence.phases.control_ms.1);
    let sent = || book.evidence.sent.iter().filter(|sent| sent.begin_ms < end_ms);
    let late: Vec<_> = sent().filter(|sent| sent.begin_ms >= healed_ms).collect();
    if late.len() < ATTEMPTS_MIN {
        gaps.push(format!("only {} attempts after the faults: too few to call the shop well", late.len()));
    } else {
        // From some second within the bound on, there is next to no failure.
        let seconds = (0..=WELL_WITHIN_MS / 1_000).map(|second| healed_ms + second * 1_000);
        let well = seconds.take_while(|from| *from < end_ms).any(|from| {
            let rest: Vec<_> = late.iter().copied().filter(|sent| sent.begin_ms >= from).collect();
            rest.len() >= ATTEMPTS_MIN && few_failed(&rest)
        });
        findings.expect(Check::K15Liveness, well, || format!("not well within 30 s of healing: {}", failures(&late)));
    }
    let rest = book.evidence.phases.rest_after_ms;
    findings.expect(Check::K15Liveness, rest.is_some_and(|rest_ms| rest_ms <= REST_WITHIN_MS), || {
        "something was still open 60 s after the last customer went home".to_owned()
    });
}

/// T-4: a fault that was never hit, or after which nothing worked, has tested nothing.
fn sometimes(book: &Book<'_>, findings: &mut Findings, gaps: &mut Vec<String>) {
    let bought = |after_ms: u64| {
        let bought = book.cases.iter().filter(|case| matches!(case.fate, Fate::Bought(_)));
        bought.filter(|case| case.begin_ms() >= after_ms).count()
    };
    for (kind, times_ms) in &book.evidence.sometimes.faults_ms {
        match times_ms.iter().max() {
            Some(last_ms) => findings.expect(Check::T4Sometimes, bought(*last_ms) > 0, || {
                format!("no checkout that began after the last fault '{kind}' succeeded")
            }),
            None => gaps.push(format!("the fault '{kind}' was asked for and never hit")),
        }
    }
    for (trick, count) in &book.evidence.sometimes.tricks {
        if *count == 0 {
            gaps.push(format!("no customer came to play the trick '{trick}'"));
        } else {
            findings.judged(Check::T4Sometimes);
        }
    }
}

/// T-7.
fn control(book: &Book<'_>, findings: &mut Findings, gaps: &mut Vec<String>) {
    let (from_ms, to_ms) = book.evidence.phases.control_ms;
    let inside = |begin_ms: u64| (from_ms..to_ms).contains(&begin_ms);
    let sent: Vec<_> = book.evidence.sent.iter().filter(|sent| inside(sent.begin_ms)).collect();
    let checkouts = sent.iter().filter(|sent| sent.what == What::Checkout);
    let mut took_ms: Vec<u64> = checkouts.filter_map(|sent| Some(sent.end_ms? - sent.begin_ms)).collect();
    took_ms.sort_unstable();
    if took_ms.is_empty() {
        gaps.push("no checkout in the control phase".to_owned());
        return;
    }
    let p99_ms = took_ms[(took_ms.len() - 1) * 99 / 100];
    findings.expect(Check::T7Control, few_failed(&sent), || format!("without any fault {}", failures(&sent)));
    findings.expect(Check::T7Control, p99_ms <= CONTROL_P99_MAX_MS, || {
        format!("p99 of checkouts is {p99_ms} ms without any fault, at most {CONTROL_P99_MAX_MS}")
    });
    for case in book.cases.iter().filter(|case| inside(case.begin_ms())) {
        findings.expect(Check::T7Control, !matches!(case.fate, Fate::Unknown(_)), || {
            format!("the customer of key {} was left unknowing without any fault", case.key)
        });
    }
}
