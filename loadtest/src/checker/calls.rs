//! K13: the promise of each call's class, as far as it shows outside.
//!
//! - *not executed* ("busy", or no connection) is harmless: a key that got nothing else stands for nothing.
//! - *exactly once*: no intent to charge was sent more often than it was begun, and an unfinished one is not final.
//! - *at least once*: an acknowledged add is in the cart that its own answer shows, however often it was sent.

use std::collections::BTreeMap;

use super::{
    Check, Findings,
    cart::shown,
    cases::{Book, Case},
    history::{Reply, Sent, What},
};

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings) {
    for case in &book.cases {
        not_executed(case, findings);
    }
    for intent in &book.evidence.dump.intents {
        let sane = (0..=intent.attempts).contains(&intent.maybe_sent);
        findings.expect(Check::K13CallClass, sane && intent.state != "intended", || {
            let (operation, state) = (&intent.operation, &intent.state);
            format!("the charge of {operation} is {state}: {} of {} sends", intent.maybe_sent, intent.attempts)
        });
    }
    adds(book, findings);
}

fn not_executed(case: &Case<'_>, findings: &mut Findings) {
    let harmless = |sent: &&Sent| match &sent.reply {
        Reply::NotSent => true,
        Reply::Told(told) => told.problem == "busy",
        Reply::HungUp | Reply::Lost | Reply::Stopped => false,
    };
    if case.poisons.is_empty() && case.sends.iter().all(harmless) {
        findings.expect(Check::K13CallClass, case.row.is_none(), || {
            format!("every attempt of key {} was 'not executed', but it has an operation", case.key)
        });
    }
}

/// The answer to an add shows at least the pieces that it added.
fn adds(book: &Book<'_>, findings: &mut Findings) {
    let mut sets: BTreeMap<&str, bool> = BTreeMap::new();
    for sent in &book.evidence.sent {
        match &sent.what {
            What::Set { .. } | What::Remove { .. } | What::Checkout => drop(sets.insert(&sent.session, true)),
            What::Add { sku, quantity } => {
                // Once there was anything that takes pieces out, the answer may rightly show fewer.
                let (Some(cart), false) = (shown(sent), sets.contains_key(sent.session.as_str())) else { continue };
                let there = cart.get(sku).copied().unwrap_or(0);
                findings.expect(Check::K13CallClass, there >= *quantity, || {
                    format!("the answer to adding {quantity} of {sku} shows {there}")
                });
            }
            _ => {}
        }
    }
}
