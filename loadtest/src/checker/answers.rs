//! K9 replay, K10 misuse, K11 isolation: what the answers say, each against the other answers.

use std::collections::BTreeMap;

use super::{
    Check, Findings,
    cases::{Book, Case, Fate},
    history::What,
};

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings) {
    for case in &book.cases {
        replay(case, findings);
        misuse(case, findings);
    }
    isolation(book, findings);
}

/// K9: the first final answer, byte for byte, for ever.
fn replay(case: &Case<'_>, findings: &mut Findings) {
    let mut finals = case.sends.iter().filter(|sent| sent.told().is_some_and(|told| told.is_final()));
    let Some(first) = finals.next().and_then(|sent| sent.told()) else { return };
    for other in finals.filter_map(|sent| sent.told()) {
        let same = (other.status, &other.body) == (first.status, &first.body);
        findings.expect(Check::K9Replay, same, || {
            format!("key {} was answered {} and {}, or with other bytes", case.key, first.status, other.status)
        });
    }
    // What the order is called may not change between an answer and a look at it.
    let Fate::Bought(id) = case.fate else { return };
    for told in case.polls.iter().filter_map(|sent| sent.told()).filter(|told| told.status == 200) {
        findings.expect(Check::K9Replay, told.body.contains(id), || {
            format!("a look at order {id} shows another: {}", told.body.chars().take(200).collect::<String>())
        });
    }
}

/// K10: a key with another body is 422; before the key was claimed, any refusal that leaves it unused will do.
fn misuse(case: &Case<'_>, findings: &mut Findings) {
    let claims = |told: &&super::history::Told| told.is_final() || told.is_open();
    let proven = case.sends.iter().filter(|sent| sent.told().as_ref().is_some_and(claims));
    let proven_ms = proven.filter_map(|sent| sent.end_ms).min();
    for poison in &case.poisons {
        let Some(told) = poison.told().filter(|told| told.status != 429 && told.status < 500) else { continue };
        let refused = told.status == 422 && told.problem == "key-reused";
        let too_early = proven_ms.is_none_or(|proven_ms| poison.begin_ms <= proven_ms) && told.is_unused();
        // A logged-out session never gets as far as the key.
        findings.expect(Check::K10Misuse, refused || too_early || told.status == 401, || {
            format!("key {} with another body was answered {} {}", case.key, told.status, told.problem)
        });
    }
    for told in case.sends.iter().filter_map(|sent| sent.told()) {
        findings.expect(Check::K10Misuse, told.problem != "key-reused", || {
            format!("the request that key {} belongs to was refused as another", case.key)
        });
    }
}

/// K11: orders are shown to the session that made them and to nobody else.
fn isolation(book: &Book<'_>, findings: &mut Findings) {
    let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
    for case in book.cases.iter().filter(|case| !book.shared.contains(case.key)) {
        if let Some(row) = case.row {
            owner.insert(&row.id, case.session);
            let principal = book.principals.get(case.session);
            findings.expect(Check::K11Isolation, principal.is_none_or(|known| *known == row.principal), || {
                format!("operation {} was made by the session of another principal", row.id)
            });
        }
    }
    let mut session_of: BTreeMap<&str, &str> = BTreeMap::new();
    for (session, principal) in &book.principals {
        if session_of.insert(principal, session).is_some() {
            findings.violation(Check::K11Isolation, format!("two sessions are one principal, {principal}"));
        }
    }
    let mut foreign = |session: &str, id: &str, how: &str| {
        let by_session = owner.get(id).is_none_or(|own| *own == session);
        let row = book.by_id.get(id);
        let by_row = row.zip(book.principals.get(session)).is_none_or(|(row, who)| row.principal == **who);
        findings.expect(Check::K11Isolation, by_session && by_row, || format!("{how} order {id} of another customer"));
    };
    for sent in &book.evidence.sent {
        let Some(told) = sent.told() else { continue };
        match &sent.what {
            What::Order { id } if told.status == 200 => foreign(&sent.session, id, "a customer was shown"),
            What::Checkout => {
                if let Some(id) = &told.order {
                    foreign(&sent.session, id, "a checkout was answered with");
                }
            }
            _ => {}
        }
    }
}
