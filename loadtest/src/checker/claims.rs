//! K14: for each key one order of events explains all its answers, and for each product one order of purchases explains
//! every "out of stock".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Check, Findings,
    cases::{Book, Case},
    history::{Reply, Sent},
    linear::{EVENTS_MAX, Model, Timed, explained},
};

/// Products with more events than the search can take are judged by bounds only; more unjudged keys than this (in
/// percent) make the run unknown.
const UNJUDGED_MAX_PERCENT: usize = 5;

/// A key: free, claimed, ended with one answer.
struct Claim;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Free,
    Claimed,
    Ended(usize),
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// Answered with a stored answer, by its number.
    Ended(usize),
    /// Answered "not over yet".
    Open,
    /// Answered "this key stands for nothing".
    Unused,
    /// Another body was answered "this key belongs to another request".
    Reused,
    /// Never answered.
    Lost,
}

impl Model for Claim {
    type State = Key;
    type Event = Event;

    fn step(&self, key: &Key, event: &Event) -> Option<Key> {
        match (event, key) {
            (Event::Ended(answer), Key::Ended(stored)) => (answer == stored).then_some(*key),
            (Event::Ended(answer), _) => Some(Key::Ended(*answer)),
            (Event::Open, Key::Ended(_)) | (Event::Reused, Key::Free) => None,
            (Event::Open, _) | (Event::Lost, Key::Free) => Some(Key::Claimed),
            (Event::Unused, _) => (*key == Key::Free).then_some(*key),
            (Event::Reused | Event::Lost, _) => Some(*key),
        }
    }
}

pub(crate) fn check(book: &Book<'_>, findings: &mut Findings, gaps: &mut Vec<String>) {
    let mut unjudged = 0;
    for case in &book.cases {
        let events = events(case);
        match explained(&Claim, Key::Free, &events) {
            Some(holds) => findings.expect(Check::K14Linearizable, holds, || {
                format!("no order of events explains the answers to key {}", case.key)
            }),
            None => unjudged += 1,
        }
    }
    if unjudged * 100 > book.cases.len() * UNJUDGED_MAX_PERCENT {
        gaps.push(format!("{unjudged} of {} keys have too many attempts to be judged", book.cases.len()));
    }
    stock(book, findings);
}

fn events(case: &Case<'_>) -> Vec<Timed<Event>> {
    let mut answers: Vec<&str> = Vec::new();
    let mut events = Vec::new();
    let own = case.sends.iter().map(|sent| (sent, true));
    for (sent, own) in own.chain(case.poisons.iter().map(|sent| (sent, false))) {
        let event = match &sent.reply {
            Reply::NotSent => continue,
            Reply::Told(told) if told.is_final() => {
                let number = answers.iter().position(|known| *known == told.body).unwrap_or_else(|| {
                    answers.push(&told.body);
                    answers.len() - 1
                });
                Event::Ended(number)
            }
            Reply::Told(told) if told.is_open() => Event::Open,
            Reply::Told(told) if told.problem == "key-reused" => Event::Reused,
            // Refused before the key was looked at.
            Reply::Told(told) if [400, 401, 429].contains(&told.status) || told.problem == "busy" => continue,
            Reply::Told(told) if told.is_unused() => Event::Unused,
            _ if !own => continue,
            _ => Event::Lost,
        };
        let optional = matches!(event, Event::Lost);
        let end_ms = if optional { None } else { sent.end_ms };
        events.push(Timed { event, begin_ms: sent.begin_ms, end_ms, optional });
    }
    events
}

/// A product: pieces left.
struct Shelf;

#[derive(Debug, Clone, Copy)]
enum Move {
    Take(i64),
    /// Out of stock: this many were left, and more were wanted.
    TooFew {
        left: i64,
        wanted: i64,
    },
    GiveBack(i64),
}

impl Model for Shelf {
    /// Pieces left, and pieces that are out and may come back.
    type State = (i64, i64);
    type Event = Move;

    fn step(&self, (left, out): &(i64, i64), event: &Move) -> Option<(i64, i64)> {
        match event {
            Move::Take(quantity) => (left >= quantity).then(|| (left - quantity, out + quantity)),
            Move::TooFew { left: seen, wanted } => (seen == left && left < wanted).then_some((*left, *out)),
            Move::GiveBack(quantity) => (out >= quantity).then(|| (left + quantity, out - quantity)),
        }
    }
}

fn stock(book: &Book<'_>, findings: &mut Findings) {
    let mut moves: BTreeMap<&str, Vec<Timed<Move>>> = BTreeMap::new();
    let mut watched: BTreeSet<String> = BTreeSet::new();
    let known: BTreeSet<&str> = book.cases.iter().filter_map(|case| Some(case.row?.id.as_str())).collect();
    // Of an operation whose customer cannot be told, only that it is there is known.
    for row in book.new.iter().filter(|row| !known.contains(row.id.as_str())) {
        for (sku, (quantity, _)) in &row.lines {
            let (event, optional) = (Move::Take(*quantity), !row.is_paid());
            moves.entry(sku).or_default().push(Timed { event, begin_ms: 0, end_ms: None, optional });
        }
    }
    for case in &book.cases {
        let (Some(row), begin_ms) = (case.row, case.begin_ms()) else { continue };
        for (sku, (quantity, _)) in &row.lines {
            let of_sku = moves.entry(sku).or_default();
            // Where a charge was tried, the pieces were out; else only perhaps.
            let end_ms = if row.is_paid() { case.known_ms() } else { None };
            of_sku.push(Timed { event: Move::Take(*quantity), begin_ms, end_ms, optional: !row.is_paid() });
            if !row.is_paid() {
                of_sku.push(Timed { event: Move::GiveBack(*quantity), begin_ms, end_ms: None, optional: true });
            }
        }
        let refusals: Vec<_> = case.sends.iter().filter_map(|sent| too_few(sent)).collect();
        for (sku, left) in refusals.iter().take(1) {
            let Some((known, (wanted, _))) = row.lines.get_key_value(sku.as_str()) else {
                findings.violation(Check::K14Linearizable, format!("{} is out of stock of {sku}, not its own", row.id));
                continue;
            };
            // The answer is stored: the moment lies between the first attempt and the first answer.
            let event = Move::TooFew { left: *left, wanted: *wanted };
            watched.insert(known.clone());
            moves.entry(known).or_default().push(Timed { event, begin_ms, end_ms: case.known_ms(), optional: false });
        }
    }
    for sku in watched {
        let Some(shelf) = book.evidence.dump.stock.iter().find(|stock| stock.sku == sku) else { continue };
        let events = moves.get(sku.as_str()).map_or(&[][..], Vec::as_slice);
        let paid = book.new.iter().filter(|row| row.is_paid());
        let taken: i64 = paid.filter_map(|row| row.lines.get(&sku)).map(|line| line.0).sum();
        let start = shelf.available + taken;
        let verdict = if events.len() > EVENTS_MAX { None } else { explained(&Shelf, (start, 0), events) };
        let holds = verdict.unwrap_or_else(|| within_bounds(start, events));
        findings.expect(Check::K14Linearizable, holds, || {
            format!("no order of purchases explains what was said about the stock of {sku}")
        });
    }
}

/// For long histories: each "out of stock" is possible if everybody else was lucky.
fn within_bounds(start: i64, events: &[Timed<Move>]) -> bool {
    events.iter().all(|refusal| {
        let Move::TooFew { left, wanted } = refusal.event else { return true };
        let (mut least, mut most) = (start, start);
        for other in events {
            let Move::Take(quantity) = other.event else { continue };
            let before = other.end_ms.is_some_and(|end_ms| end_ms < refusal.begin_ms);
            if refusal.end_ms.is_none_or(|end_ms| other.begin_ms <= end_ms) {
                least -= quantity;
            }
            if before && !other.optional {
                most -= quantity;
            }
        }
        left < wanted && (least.max(0)..=most).contains(&left)
    })
}

/// The product of an "out of stock" and how many are left.
fn too_few(sent: &Sent) -> Option<(String, i64)> {
    let told = sent.told().filter(|told| told.problem == "out-of-stock")?;
    let body: Value = serde_json::from_str(&told.body).ok()?;
    Some((body["sku"].as_str()?.to_owned(), body["available"].as_i64()?))
}
