//! K8: an acknowledged add is never lost, an observed removal never comes back, no bought line reappears (CART-2, 3, 5).
//!
//! At the end, when everything is at rest, each line must hold what the customer put in, less what was taken out and what
//! was bought: within bounds only where an answer was lost. During the run the same holds for every view, except while a
//! node with carts stood still and shortly after, when a view may be old: those are counted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Check, Findings, Numbers, any_meets,
    cases::Book,
    history::{Reply, Sent, What},
};

type Lines = BTreeMap<String, i64>;

/// One change of one line, all attempts together.
#[derive(Debug)]
struct Change {
    kind: Kind,
    begin_ms: u64,
    /// First acknowledgement.
    acked_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add(i64),
    /// A removal sets to 0.
    Set(i64),
}

/// The cart that an answer shows.
pub(crate) fn shown(sent: &Sent) -> Option<Lines> {
    if !matches!(sent.what, What::View | What::Add { .. } | What::Set { .. } | What::Remove { .. }) {
        return None;
    }
    let told = sent.told().filter(|told| told.status == 200)?;
    let body: Value = serde_json::from_str(&told.body).ok()?;
    let lines = body["lines"].as_array()?;
    let line = |line: &Value| Some((line["sku"].as_str()?.to_owned(), line["quantity"].as_i64()?));
    lines.iter().map(line).collect()
}

#[derive(Debug, Default)]
struct Session<'a> {
    changes: BTreeMap<&'a str, Vec<Change>>,
    views: Vec<(u64, u64, Lines)>,
    /// When each checkout was begun that may have bought something.
    checkouts_ms: Vec<u64>,
}

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings, numbers: &mut Numbers) {
    let mut bought: BTreeMap<&str, Lines> = BTreeMap::new();
    for row in book.new.iter().filter(|row| row.is_paid()) {
        for (sku, (quantity, _)) in &row.lines {
            *bought.entry(&row.principal).or_default().entry(sku.clone()).or_default() += quantity;
        }
    }
    let none = Lines::new();
    for (name, session) in sessions(book) {
        for (number, view) in session.views.iter().enumerate() {
            judge_view(book, name, &session, number, view, findings, numbers);
        }
        let Some(last) = book.evidence.carts.get(name) else { continue };
        let principal = book.principals.get(name);
        // Of a session whose rows cannot be told from another's, nothing is known about what it bought.
        let unclear =
            principal.is_none() && book.cases.iter().any(|case| case.session == name && book.shared.contains(case.key));
        if !unclear {
            let bought = principal.and_then(|principal| bought.get(*principal)).unwrap_or(&none);
            judge_end(book, name, &session, last, bought, findings);
        }
    }
}

fn sessions<'a>(book: &Book<'a>) -> BTreeMap<&'a str, Session<'a>> {
    let mut sessions: BTreeMap<&str, Session<'_>> = BTreeMap::new();
    let mut keyed: BTreeMap<(&str, &str, &What), Vec<&Sent>> = BTreeMap::new();
    for sent in &book.evidence.sent {
        match &sent.what {
            What::Add { .. } | What::Set { .. } | What::Remove { .. } => {
                keyed.entry((&sent.session, sent.key.as_deref().unwrap_or(""), &sent.what)).or_default().push(sent);
            }
            What::Checkout if sent.told().is_none_or(|told| !told.is_unused()) => {
                sessions.entry(&sent.session).or_default().checkouts_ms.push(sent.begin_ms);
            }
            _ => {}
        }
        if let (Some(lines), Some(end_ms)) = (shown(sent), sent.end_ms) {
            sessions.entry(&sent.session).or_default().views.push((sent.begin_ms, end_ms, lines));
        }
    }
    for ((session, _, what), attempts) in keyed {
        let (sku, kind) = match what {
            What::Add { sku, quantity } => (sku, Kind::Add(*quantity)),
            What::Set { sku, quantity } => (sku, Kind::Set(*quantity)),
            What::Remove { sku } => (sku, Kind::Set(0)),
            _ => continue,
        };
        let acked = attempts.iter().filter(|sent| sent.told().is_some_and(|told| told.status == 200));
        let acked_ms = acked.filter_map(|sent| sent.end_ms).min();
        if acked_ms.is_none() && !attempts.iter().any(|sent| sent.may_have_effect()) {
            continue;
        }
        let begin_ms = attempts.iter().filter(|sent| sent.reply != Reply::NotSent).map(|sent| sent.begin_ms).min();
        let change = Change { kind, begin_ms: begin_ms.unwrap_or(0), acked_ms };
        sessions.entry(session).or_default().changes.entry(sku).or_default().push(change);
    }
    sessions
}

/// Fewest and most pieces of a line at `from_ms..to_ms` before anything is bought, and when the last setting was known.
/// `None` where a lost answer to a setting leaves everything open.
fn bounds(changes: &[Change], from_ms: u64, to_ms: u64, stale: impl Fn(u64, u64) -> bool) -> Option<(i64, i64, u64)> {
    let begun = || changes.iter().filter(|change| change.begin_ms <= to_ms);
    let sets = || begun().filter(|change| matches!(change.kind, Kind::Set(_)));
    if sets().any(|set| set.acked_ms.is_none_or(|acked_ms| acked_ms > from_ms)) {
        return None;
    }
    let last = sets().max_by_key(|set| set.begin_ms);
    let (base, set_begin, set_end) = match last {
        Some(Change { kind: Kind::Set(quantity), begin_ms, acked_ms }) => (*quantity, *begin_ms, acked_ms.unwrap_or(0)),
        _ => (0, 0, 0),
    };
    // Whoever set it may not have seen everything.
    let blind = last.is_some() && stale(set_begin, set_end);
    let (mut least, mut most) = (base, base);
    for change in begun() {
        let Kind::Add(quantity) = change.kind else { continue };
        let replaced = last.is_some() && change.acked_ms.is_some_and(|acked_ms| acked_ms < set_begin);
        let after = last.is_none() || change.begin_ms > set_end;
        if change.acked_ms.is_some_and(|acked_ms| acked_ms <= from_ms) && after {
            least += quantity;
        }
        if !replaced || blind {
            most += quantity;
        }
    }
    Some((least, most, set_end))
}

fn judge_end(
    book: &Book<'_>,
    name: &str,
    session: &Session<'_>,
    last: &Lines,
    bought: &Lines,
    findings: &mut Findings,
) {
    let touched = session.changes.keys().copied().chain(last.keys().map(String::as_str));
    for sku in touched.collect::<BTreeSet<_>>() {
        let changes = session.changes.get(sku).map_or(&[][..], Vec::as_slice);
        let Some((least, most, set_end)) = bounds(changes, u64::MAX, u64::MAX, |from, to| stale(book, from, to)) else {
            continue;
        };
        let bought = bought.get(sku).copied().unwrap_or(0);
        // What was bought before a setting is not what the setting left.
        if bought > 0 && session.checkouts_ms.iter().any(|begin_ms| *begin_ms <= set_end) {
            continue;
        }
        let there = last.get(sku).copied().unwrap_or(0);
        let (least, most) = ((least - bought).max(0), most - bought);
        findings.expect(Check::K8Cart, (least..=most).contains(&there), || {
            let who = &name[..name.len().min(8)];
            format!("cart of session {who}: {there} of {sku} at the end, expected {least} to {most} ({bought} bought)")
        });
    }
}

fn judge_view(
    book: &Book<'_>,
    name: &str,
    session: &Session<'_>,
    number: usize,
    (begin_ms, end_ms, lines): &(u64, u64, Lines),
    findings: &mut Findings,
    numbers: &mut Numbers,
) {
    let bought_before = session.checkouts_ms.iter().any(|checkout_ms| checkout_ms <= end_ms);
    for (sku, changes) in &session.changes {
        let there = lines.get(*sku).copied().unwrap_or(0);
        let Some((least, most, _)) = bounds(changes, *begin_ms, *end_ms, |from, to| stale(book, from, to)) else {
            continue;
        };
        let least = if bought_before { 0 } else { least };
        // Nothing was added in between, so what a look showed gone may not be back in a later one.
        let settled = changes.iter().all(|change| change.begin_ms > *end_ms || change.acked_ms.is_some());
        let earlier = session.views[..number].iter().rev().find(|(_, earlier_end, _)| earlier_end < begin_ms);
        let back = earlier.is_some_and(|(earlier_begin, _, earlier)| {
            let quiet = !changes.iter().any(|change| {
                change.begin_ms <= *end_ms && change.acked_ms.is_none_or(|acked_ms| acked_ms >= *earlier_begin)
            });
            settled && quiet && there > earlier.get(*sku).copied().unwrap_or(0)
        });
        let since_ms = earlier.map_or(*begin_ms, |(earlier_begin, ..)| if back { *earlier_begin } else { *begin_ms });
        let right = (least..=most).contains(&there) && !back;
        if !right && stale(book, since_ms, *end_ms) {
            numbers.stale_views += 1;
            continue;
        }
        findings.expect(Check::K8Cart, right, || {
            let who = &name[..name.len().min(8)];
            let back = if back { ", although it was gone before" } else { "" };
            format!("cart of session {who} at {begin_ms} ms: {there} of {sku}, expected {least} to {most}{back}")
        });
    }
}

fn stale(book: &Book<'_>, from_ms: u64, to_ms: u64) -> bool {
    any_meets(&book.evidence.stale_carts_ms, from_ms, to_ms)
}
